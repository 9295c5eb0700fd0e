import type { Db, ObjectId } from "mongodb";
import type { AdminDocument } from "./admin/admin.ts";
import * as adminStore from "./admin/store.ts";
import { together } from "./lib/together.ts";
import type { OrganizationDocument } from "./organization/organization.ts";
import * as organizationStore from "./organization/store.ts";

/** The reads that nearly every request makes; those of requests that arrive together are one statement. */
export type LookUp = {
  /** @param name in lower case */
  organizationByName(name: string): Promise<OrganizationDocument | null>;
  organizationById(id: ObjectId): Promise<OrganizationDocument | null>;
  adminById(id: ObjectId): Promise<AdminDocument | null>;
};

const idOf = ({ _id }: { _id: ObjectId }) => _id.toHexString();

/** Finds active organizations only: the others are seen by nobody. */
export const createLookUp = (db: Db): LookUp => ({
  organizationByName: together(
    (names: readonly string[]) => organizationStore.findActiveByNames(db, names),
    ({ organization_name }) => organization_name,
  ),
  organizationById: together((ids: readonly ObjectId[]) => organizationStore.findActiveByIds(db, ids), idOf),
  adminById: together((ids: readonly ObjectId[]) => adminStore.findByIds(db, ids), idOf),
});
