import type { Db, ObjectId } from "mongodb";
import { retryDeadlock, within } from "../../lib/mongo/mongo.ts";
import { tiers } from "../../tenant/placement.ts";
import { type OrganizationDocument, type OrganizationStatus, statuses, type Suspension } from "../organization.ts";
import { organizations } from "../store.ts";

/**
 * From here on nobody gets in. One that is suspended stays as it is, and one that isn't established isn't touched. Nothing but
 * this and `reactivate` writes these two fields, and neither writes another.
 */
export async function suspend(db: Db, id: ObjectId, suspension: Suspension): Promise<void> {
  const change = { $set: { status: "suspended" as const, suspension } };
  await retryDeadlock(() => organizations(db).updateOne({ _id: id, status: "active" }, change, within()));
}

/** Lets a suspended organization's admin in again. */
export async function reactivate(db: Db, id: ObjectId): Promise<void> {
  const change = { $set: { status: "active" as const }, $unset: { suspension: true as const } };
  await retryDeadlock(() => organizations(db).updateOne({ _id: id, status: "suspended" }, change, within()));
}

/** Writes where an organization's admin may come from; null when there is no such organization. */
export const writeAllowList = (
  db: Db,
  id: ObjectId,
  allow_list: string[],
  among: readonly OrganizationStatus[],
): Promise<OrganizationDocument | null> =>
  retryDeadlock(() =>
    organizations(db).findOneAndUpdate(
      { _id: id, status: { $in: [...among] } },
      { $set: { allow_list } },
      { returnDocument: "after", ...within() },
    ),
  );

export type OrganizationQuery = {
  tier?: OrganizationDocument["tier"];
  status?: OrganizationStatus;
  region?: string;
  /** In lower case. */
  name_prefix?: string;
  after?: ObjectId;
  limit: number;
};

/** Behind all that a name may hold. Claims (`withPlaceClaimed`) begin with it, so they are no organizations here. */
const behindNames = "~";

/** Whatever its status; null for what is no organization. */
export const findListedById = (db: Db, id: ObjectId): Promise<OrganizationDocument | null> =>
  organizations(db).findOne({ _id: id, organization_name: { $lt: behindNames } }, within());

/** One page of organizations, in the order of `_id`. */
export const listPage = (
  db: Db,
  { name_prefix = "", after, limit, ...fields }: OrganizationQuery,
): Promise<OrganizationDocument[]> => {
  // The indexes have tier and status together, and of each pair its own first ones, which the database brings together.
  const any = Object.keys(fields).length > 0 && { tier: { $in: [...tiers] }, status: { $in: [...statuses] } };
  return organizations(db)
    .find(
      {
        ...any,
        ...fields,
        organization_name: { $gte: name_prefix, $lt: name_prefix + behindNames },
        ...(after && { _id: { $gt: after } }),
      },
      { sort: { _id: 1 }, limit, ...within() },
    )
    .toArray();
};
