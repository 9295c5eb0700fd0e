import { type Collection, type Db, ObjectId } from "mongodb";
import type { AdminDocument } from "../admin/admin.ts";
import { createNetworks } from "../lib/net/cidr.ts";
import { failure } from "../lib/failure.ts";
import {
  dropOutdatedIndex,
  isDuplicateKey,
  isUnavailable,
  majority,
  retryDeadlock,
  buildIndexes,
  within,
} from "../lib/mongo/mongo.ts";
import type { TenantFailure } from "../tenant/door.ts";
import type { Standing } from "../tenant/lease.ts";
import type { TenantIndex, Tier } from "../tenant/placement.ts";
import { retireKeys } from "../tenant/place/retired.ts";
import { established, type OrganizationDocument, organizationNotFound } from "./organization.ts";

/** `organizations` as the first Croupier named it. */
export const organizations = (db: Db): Collection<OrganizationDocument> => db.collection("organizations");

const nameIndex = "organization_name_1";
const placeIndex = "place_keys_1";

export async function createOrganizationIndexes(db: Db): Promise<void> {
  await buildIndexes(organizations(db), [
    { key: { organization_name: 1 }, name: nameIndex, unique: true },
    { key: { "placement.unstamped": 1 }, partialFilterExpression: { "placement.unstamped": true } },
    // For operators, who page through all of them in the order of `_id`.
    { key: { tier: 1, status: 1, _id: 1 } },
    { key: { region: 1, tier: 1, status: 1, _id: 1 } },
    { key: { place_keys: 1 }, name: placeIndex, unique: true, sparse: true },
    // Who lives where, and whose place isn't known.
    { key: { "placement.database": 1, "placement.collection": 1 } },
    // Which indexes tenants of the shared collection list.
    { key: { "placement.indexes.key": 1 }, sparse: true },
  ]);
  for (const field of ["tier", "status", "region"]) await dropOutdatedIndex(organizations(db), `${field}_1__id_1`);
}

/** @param name in lower case */
export const findByName = (db: Db, name: string): Promise<OrganizationDocument | null> =>
  organizations(db).findOne({ organization_name: name }, within());

/** @param names in lower case */
export const findActiveByNames = (db: Db, names: readonly string[]): Promise<OrganizationDocument[]> =>
  organizations(db)
    .find({ organization_name: { $in: [...names] }, status: "active" }, within())
    .toArray();

export const findById = (db: Db, id: ObjectId): Promise<OrganizationDocument | null> =>
  organizations(db).findOne({ _id: id }, within());

/** Whether any organization is in a tier. */
export const isInUse = async (db: Db, tier: Tier): Promise<boolean> =>
  (await organizations(db).findOne({ tier }, { projection: { _id: 1 }, ...within(60_000) })) !== null;

/** @throws Failure `organization_not_found` */
export async function getById(db: Db, id: ObjectId): Promise<OrganizationDocument> {
  const organization = await findById(db, id);
  if (!organization) throw organizationNotFound();
  return organization;
}

export const findActiveById = (db: Db, id: ObjectId): Promise<OrganizationDocument | null> =>
  organizations(db).findOne({ _id: id, status: "active" }, within());

export const findEstablishedById = (db: Db, id: ObjectId): Promise<OrganizationDocument | null> =>
  organizations(db).findOne({ _id: id, status: { $in: [...established] } }, within());

/** The organization of an admin. For nobody one is looked for, too: who waits for the answer learns nothing by that. */
export const findOfAdmin = (
  db: Db,
  admin: Pick<AdminDocument, "organization_id"> | null,
): Promise<OrganizationDocument | null> => {
  const id = admin && ObjectId.isValid(admin.organization_id) ? admin.organization_id : undefined;
  return findEstablishedById(db, new ObjectId(id));
};

export const findActiveByIds = (db: Db, ids: readonly ObjectId[]): Promise<OrganizationDocument[]> =>
  organizations(db)
    .find({ _id: { $in: [...ids] }, status: "active" }, within())
    .toArray();

/** Below what `within` allows: a server that can't say whether it is still the primary doesn't answer at all. */
const linearizableMsMax = 3_000;

/**
 * What those who use an active organization's documents have to know, as the majority has it; null when it isn't there.
 *
 * @param level `linearizable`: never what a server says that has been deposed without knowing it, at the price of a write of
 * its own. For that the filter names one document by a field that has a unique index and doesn't change (MongoDB manual, Read
 * Concern "linearizable").
 * @throws Failure `organization_without_place` when a damaged database of the first Croupier doesn't say where they are
 */
export async function findStanding(
  db: Db,
  id: ObjectId,
  level: "majority" | "linearizable" = "majority",
): Promise<Standing | null> {
  const projection = { status: 1, placement: 1, move: 1, allow_list: 1 };
  const limit = level === "linearizable" ? { maxTimeMS: linearizableMsMax } : {};
  const organization = await organizations(db).findOne(
    { _id: id },
    { projection, readConcern: { level }, ...limit, ...within() },
  );
  if (organization?.status !== "active") return null;
  const { placement, move, allow_list = [] } = organization;
  if (!placement) {
    const detail = "The location of this organization's documents is unknown; contact the operator of the service.";
    throw failure<TenantFailure>("organization_without_place", detail);
  }
  return { placement, ...(move && { move }), ...(allow_list.length > 0 && { allows: createNetworks(allow_list) }) };
}

export type Written = "written" | "name_taken" | "place_taken" | "missing";

/** The unique indexes decide: a write is done or it says which of the two keys belongs to another organization. */
export async function decided(write: () => Promise<boolean>): Promise<Written> {
  try {
    return (await retryDeadlock(write)) ? "written" : "missing";
  } catch (error) {
    if (isDuplicateKey(error, nameIndex)) return "name_taken";
    if (isDuplicateKey(error, placeIndex)) return "place_taken";
    throw error;
  }
}

/** Inserts an organization under the `_id` chosen before; when that is there already, it was this insert's first try. */
export const insert = (db: Db, organization: OrganizationDocument): Promise<Written> =>
  decided(async () => {
    try {
      await organizations(db).insertOne(organization, within());
    } catch (error) {
      if (isUnavailable(error) || !(await findById(db, organization._id))) throw error;
    }
    return true;
  });

export const activate = async (db: Db, id: ObjectId): Promise<boolean> => {
  const { matchedCount } = await organizations(db).updateOne(
    { _id: id, status: { $in: ["provisioning", "active"] } },
    { $set: { status: "active" } },
    within(),
  );
  return matchedCount === 1;
};

/**
 * Whether any organization in the shared collection that isn't being removed has an index of these fields that isn't unique.
 *
 * @param but one that doesn't count
 */
export const isIndexListed = async (db: Db, key: TenantIndex["key"], but?: ObjectId): Promise<boolean> => {
  const listed = { $elemMatch: { key: { $eq: key }, unique: false } };
  const filter = {
    tier: "starter" as const,
    status: { $ne: "deleting" as const },
    "placement.indexes": listed,
    ...(but && { _id: { $ne: but } }),
  };
  return (await organizations(db).findOne(filter, { projection: { _id: 1 }, ...majority, ...within() })) !== null;
};

/** Organizations whose documents don't all carry their tenant yet, in the order of `_id`, those after one of them. */
export const findUnstamped = (
  db: Db,
  after: ObjectId | null,
  limit: number,
): Promise<Pick<OrganizationDocument, "_id">[]> =>
  organizations(db)
    .find(
      { "placement.unstamped": true, status: { $in: [...established] }, ...(after && { _id: { $gt: after } }) },
      { projection: { _id: 1 }, sort: { _id: 1 }, limit, ...within() },
    )
    .toArray();

/** How many organizations there are, whatever their status, but for some. */
export const countAll = (db: Db, except: readonly ObjectId[]): Promise<number> =>
  organizations(db).countDocuments(
    { organization_name: { $lt: claimPrefix }, ...(except.length > 0 && { _id: { $nin: [...except] } }) },
    { ...majority, ...within() },
  );

/** From here on nobody sees the organization; false when it isn't there. */
export const startDeleting = async (db: Db, id: ObjectId): Promise<boolean> => {
  const { matchedCount } = await organizations(db).updateOne(
    { _id: id, status: { $in: ["active", "deleting"] } },
    { $set: { status: "deleting" } },
    within(),
  );
  return matchedCount === 1;
};

/** Gives up an organization that never became active: `activate` can't any more. */
export async function startDiscarding(db: Db, id: ObjectId): Promise<void> {
  const given = { _id: id, status: "provisioning" } as const;
  await organizations(db).updateOne(given, { $set: { status: "deleting" } }, within());
}

/**
 * Removes the record itself, which only one that is being deleted has come to. Its places are retired first.
 *
 * @param untouched nothing was ever made at them
 */
export async function removeRecord(db: Db, id: ObjectId, { untouched = false } = {}): Promise<void> {
  const organization = await organizations(db).findOne({ _id: id, status: "deleting" }, within());
  if (!organization) return;
  if (!untouched) await retireKeys(db, id, organization.place_keys ?? []);
  await organizations(db).deleteOne({ _id: id, status: "deleting" }, within());
}

/** Who holds a place, as `placeKey` has it. */
export const findByPlace = (db: Db, place: string): Promise<OrganizationDocument | null> =>
  organizations(db).findOne({ place_keys: place }, { ...majority, ...within() });

/** No organization's: names hold no tilde. */
const claimPrefix = "~claim~";
export const isClaim = ({ organization_name }: Pick<OrganizationDocument, "organization_name">): boolean =>
  organization_name.startsWith(claimPrefix);

/**
 * Does something while a place is held by a record that is no organization's: by the same unique index that keeps two
 * organizations out of one place nobody comes to live there meanwhile. Nothing is done when somebody holds it.
 */
export async function withPlaceClaimed(db: Db, key: string, act: (claim: ObjectId) => Promise<void>): Promise<void> {
  const _id = new ObjectId();
  const written = await insert(db, {
    _id,
    organization_name: `${claimPrefix}${_id.toHexString()}`,
    email: "",
    created_at: new Date(),
    updated_at: null,
    tier: "professional",
    region: "default",
    status: "deleting",
    placement: null,
    place_keys: [key],
  });
  if (written !== "written") return;
  try {
    await act(_id);
  } finally {
    await removeRecord(db, _id);
  }
}
