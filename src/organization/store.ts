import type { Collection, Db, ObjectId } from "mongodb";
import { failure } from "../lib/failure.ts";
import { isDuplicateKey, retryDeadlock, within } from "../lib/mongo.ts";
import { type Placement, placeKey } from "../tenant/placement.ts";
import type { OrganizationDocument, OrganizationFailure } from "./organization.ts";

/** `organizations` as the first Croupier named it. */
export const organizations = (db: Db): Collection<OrganizationDocument> => db.collection("organizations");

const nameIndex = "organization_name_1";
const placeIndex = "place_keys_1";

export async function createOrganizationIndexes(db: Db): Promise<void> {
  await organizations(db).createIndex({ organization_name: 1 }, { name: nameIndex, unique: true, ...within() });
  await organizations(db).createIndex({ place_keys: 1 }, { name: placeIndex, unique: true, sparse: true, ...within() });
}

/** @param name in lower case */
export const findByName = (db: Db, name: string): Promise<OrganizationDocument | null> =>
  organizations(db).findOne({ organization_name: name }, within());

export const findActiveByName = (db: Db, name: string): Promise<OrganizationDocument | null> =>
  organizations(db).findOne({ organization_name: name, status: "active" }, within());

export const findById = (db: Db, id: ObjectId): Promise<OrganizationDocument | null> =>
  organizations(db).findOne({ _id: id }, within());

/** @throws Failure `organization_not_found` */
export async function getById(db: Db, id: ObjectId): Promise<OrganizationDocument> {
  const organization = await findById(db, id);
  if (!organization) throw failure<OrganizationFailure>("organization_not_found", "There is no such organization.");
  return organization;
}

export const findActiveById = (db: Db, id: ObjectId): Promise<OrganizationDocument | null> =>
  organizations(db).findOne({ _id: id, status: "active" }, within());

export type Written = "written" | "name_taken" | "place_taken" | "missing";

/** The unique indexes decide: a write is done or it says which of the two keys belongs to another organization. */
async function decided(write: () => Promise<boolean>): Promise<Written> {
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
      if (!(await findById(db, organization._id))) throw error;
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

/** Writes what an update changes, all at once: the point from which it only goes on. */
export const writeUpdate = (
  db: Db,
  id: ObjectId,
  changes: { organization_name?: string; email?: string; updated_at: Date },
): Promise<Written> =>
  decided(async () => {
    const { matchedCount } = await organizations(db).updateOne(
      { _id: id, status: "active" },
      { $set: changes },
      within(),
    );
    return matchedCount === 1;
  });

/** Claims a place in addition to the one held, before anything is moved there. */
export const reservePlace = (db: Db, id: ObjectId, key: string): Promise<Written> =>
  decided(async () => {
    const { matchedCount } = await organizations(db).updateOne(
      { _id: id, placement: { $ne: null } },
      { $addToSet: { place_keys: key } },
      within(),
    );
    return matchedCount === 1;
  });

/** Makes `to` the organization's only place if it is still at `from`: the cutover of a move. */
export const changePlacement = async (db: Db, id: ObjectId, from: Placement, to: Placement): Promise<boolean> => {
  const { matchedCount } = await organizations(db).updateOne(
    { _id: id, "placement.epoch": { $in: [from.epoch, to.epoch] } },
    { $set: { placement: to, place_keys: [placeKey(to)] } },
    within(),
  );
  return matchedCount === 1;
};

/** From here on nobody sees the organization; false when it isn't there. */
export const startDeleting = async (db: Db, id: ObjectId): Promise<boolean> => {
  const { matchedCount } = await organizations(db).updateOne(
    { _id: id, status: { $in: ["active", "deleting"] } },
    { $set: { status: "deleting" } },
    within(),
  );
  return matchedCount === 1;
};

/** Removes the record itself, and only in the status that allows it. */
export async function removeRecord(db: Db, id: ObjectId, status: "provisioning" | "deleting"): Promise<void> {
  await organizations(db).deleteOne({ _id: id, status }, within());
}
