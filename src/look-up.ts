import type { Db, ObjectId } from "mongodb";
import type { AdminDocument } from "./admin/admin.ts";
import * as adminStore from "./admin/store.ts";
import { createRecent } from "./lib/recent.ts";
import { together } from "./lib/together.ts";
import type { OrganizationDocument } from "./organization/organization.ts";
import * as organizationStore from "./organization/store.ts";

/** The reads that nearly every request makes; those of requests that arrive together are one statement. */
export type LookUp = {
  /** @param name in lower case */
  organizationByName(name: string): Promise<OrganizationDocument | null>;
  organizationById(id: ObjectId): Promise<OrganizationDocument | null>;
  adminById(id: ObjectId): Promise<AdminDocument | null>;
  /** As it was at some time within the last `recentMs`. */
  recentAdminById(id: ObjectId): Promise<AdminDocument | null>;
  /** This process has changed the admin: the next look reads it again. */
  forgetAdmin(id: ObjectId): void;
};

const idOf = ({ _id }: { _id: ObjectId }) => _id.toHexString();

const recentMax = 10_000;
/** What is ended in one process has to be ended in every other within a second, however long placements may be used. */
const recentMsMax = 500;

/**
 * Finds active organizations only: the others are seen by nobody.
 *
 * @param recentMs how old an answer may be where that is allowed
 */
export function createLookUp(db: Db, recentMs: number): LookUp {
  const adminById = together((ids: readonly ObjectId[]) => adminStore.findByIds(db, ids), idOf);
  const recent = createRecent({ max: recentMax, ttlMs: Math.min(recentMs, recentMsMax), find: adminById });
  return {
    organizationByName: together(
      (names: readonly string[]) => organizationStore.findActiveByNames(db, names),
      ({ organization_name }) => organization_name,
    ),
    organizationById: together((ids: readonly ObjectId[]) => organizationStore.findActiveByIds(db, ids), idOf),
    adminById,
    recentAdminById: recent.find,
    forgetAdmin: recent.forget,
  };
}
