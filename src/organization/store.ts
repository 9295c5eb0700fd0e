import { type Collection, type Db, type Filter, ObjectId, type UpdateFilter } from "mongodb";
import { failure } from "../lib/failure.ts";
import { isDuplicateKey, isUnavailable, majority, retryDeadlock, within } from "../lib/mongo.ts";
import type { Standing } from "../tenant/lease.ts";
import { type Placement, placeKey } from "../tenant/placement.ts";
import type { OrganizationDocument, OrganizationFailure } from "./organization.ts";

/** `organizations` as the first Croupier named it. */
export const organizations = (db: Db): Collection<OrganizationDocument> => db.collection("organizations");

const nameIndex = "organization_name_1";
const placeIndex = "place_keys_1";

export async function createOrganizationIndexes(db: Db): Promise<void> {
  await organizations(db).createIndex({ organization_name: 1 }, { name: nameIndex, unique: true, ...within() });
  const unstamped = { partialFilterExpression: { "placement.unstamped": true } };
  await organizations(db).createIndex({ "placement.unstamped": 1 }, { ...unstamped, ...within() });
  await organizations(db).createIndex({ place_keys: 1 }, { name: placeIndex, unique: true, sparse: true, ...within() });
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

/** @throws Failure `organization_not_found` */
export async function getById(db: Db, id: ObjectId): Promise<OrganizationDocument> {
  const organization = await findById(db, id);
  if (!organization) throw failure<OrganizationFailure>("organization_not_found", "There is no such organization.");
  return organization;
}

export const findActiveById = (db: Db, id: ObjectId): Promise<OrganizationDocument | null> =>
  organizations(db).findOne({ _id: id, status: "active" }, within());

export const findActiveByIds = (db: Db, ids: readonly ObjectId[]): Promise<OrganizationDocument[]> =>
  organizations(db)
    .find({ _id: { $in: [...ids] }, status: "active" }, within())
    .toArray();

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

/** An organization as one driver of an operation may write it: no later driver has entered. */
export type Guarded = { id: ObjectId; guard: number };

/** Gives a driver its guard: from here on the writes of those before it match nothing. 0 when there is no organization. */
export async function raiseGuard(db: Db, id: ObjectId): Promise<number> {
  const options = { returnDocument: "after", projection: { guard: 1 }, ...within() } as const;
  const organization = await organizations(db).findOneAndUpdate({ _id: id }, { $inc: { guard: 1 } }, options);
  return organization?.guard ?? 0;
}

/** @throws Error when the organization is there and another driver has entered */
async function writeGuarded(
  db: Db,
  { id, guard }: Guarded,
  change: UpdateFilter<OrganizationDocument>,
  only: Filter<OrganizationDocument> = {},
) {
  const filter = { ...only, _id: id, guard, status: "active" as const };
  const { matchedCount } = await organizations(db).updateOne(filter, change, within());
  if (matchedCount === 1) return true;
  const organization = await findActiveById(db, id);
  if (organization && organization.guard !== guard) throw new Error("another driver has entered");
  return false;
}

/** Writes what an update changes, all at once: the point from which it only goes on. */
export const writeUpdate = (
  db: Db,
  organization: Guarded,
  changes: { organization_name?: string; email?: string; updated_at: Date },
): Promise<Written> => decided(() => writeGuarded(db, organization, { $set: changes }));

/** Claims a place in addition to the one held, before anything is moved there. */
export const reservePlace = (db: Db, organization: Guarded, key: string): Promise<Written> =>
  decided(() => writeGuarded(db, organization, { $addToSet: { place_keys: key } }));

/**
 * What those who use an active organization's documents have to know, as the majority has it; null when it isn't there.
 *
 * @throws Failure `organization_without_place` when a damaged database of the first Croupier doesn't say where they are
 */
export async function findStanding(db: Db, id: ObjectId): Promise<Standing | null> {
  const organization = await organizations(db).findOne(
    { _id: id, status: "active" },
    { projection: { placement: 1, move: 1 }, ...majority, ...within() },
  );
  if (!organization) return null;
  const { placement, move } = organization;
  if (!placement) {
    const detail = "Nobody knows where this organization's documents are; tell whoever runs the service.";
    throw failure<OrganizationFailure>("organization_without_place", detail);
  }
  return { placement, ...(move && { move }) };
}

/** Brings a move to a phase, for all who use the documents. Every change of phase raises the epoch. */
export const enterPhase = (db: Db, organization: Guarded, move: NonNullable<Standing["move"]>): Promise<Written> =>
  decided(() => writeGuarded(db, organization, { $set: { move }, $inc: { "placement.epoch": 1 } }));

/** Opens the gate again, if it is closed: what was written before the cutover failed goes on where it was. */
export async function reopenGate(db: Db, organization: Guarded, operationId: ObjectId): Promise<void> {
  await decided(() =>
    writeGuarded(
      db,
      organization,
      { $set: { "move.phase": "journal" }, $inc: { "placement.epoch": 1 } },
      { "move.operation_id": operationId, "move.phase": "gate" },
    ),
  );
}

/** Ends a move where the documents have always been; one that has ended is left as it is. */
export async function leaveMove(db: Db, organization: Guarded, operationId: ObjectId): Promise<void> {
  await retryDeadlock(() =>
    writeGuarded(
      db,
      organization,
      { $unset: { move: true }, $inc: { "placement.epoch": 1 } },
      { "move.operation_id": operationId },
    ),
  );
}

/** The cutover of a move: from here on the documents are at `to`. Only out of the gate of this very move. */
export async function cutOver(
  db: Db,
  organization: Guarded,
  operationId: ObjectId,
  from: Placement,
  to: Placement,
): Promise<Written> {
  const { epoch } = from;
  const placement = { ...to, epoch: epoch + 1 };
  return await decided(() =>
    writeGuarded(
      db,
      organization,
      { $set: { placement, tier: to.tier, region: to.region }, $unset: { move: true } },
      { "placement.epoch": epoch, "move.operation_id": operationId, "move.phase": { $in: ["gate", "sealed"] } },
    ),
  );
}

/** Gives up every place but the one where the documents are. */
export async function releasePlaces(db: Db, organization: Guarded): Promise<void> {
  const { placement } = await getById(db, organization.id);
  if (placement) {
    await decided(() => writeGuarded(db, organization, { $set: { place_keys: [placeKey(placement)] } }));
  }
}

/** Gives up a place that the organization doesn't live at. */
export async function givePlaceUp(db: Db, id: ObjectId, key: string): Promise<void> {
  const filter = { _id: id, place_keys: key };
  const { placement } = (await organizations(db).findOne(filter, within())) ?? {};
  if (!placement || placeKey(placement) === key) return;
  // The epoch: unless it has come back just now.
  const unchanged = { ...filter, "placement.epoch": placement.epoch };
  await organizations(db).updateOne(unchanged, { $pull: { place_keys: key } }, within());
}

/** Organizations whose documents don't all carry their tenant yet. */
export const findUnstamped = async (db: Db, limit: number): Promise<ObjectId[]> =>
  (
    await organizations(db)
      .find({ "placement.unstamped": true, status: "active" }, { projection: { _id: 1 }, limit, ...within() })
      .toArray()
  ).map(({ _id }) => _id);

/** Changes what a placement says beside the place itself: a tenant's indexes, or that all documents carry their tenant. */
export const notePlacement = (
  db: Db,
  organization: Guarded,
  change: Pick<Placement, "indexes"> | { unstamped: null },
): Promise<Written> =>
  decided(() =>
    writeGuarded(
      db,
      organization,
      "unstamped" in change
        ? { $unset: { "placement.unstamped": true } }
        : { $set: { "placement.indexes": change.indexes ?? [] }, $inc: { "placement.epoch": 1 } },
    ),
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

/** Gives up an organization that never became active; false when it did, or isn't there. Then `activate` can't any more. */
export const startDiscarding = async (db: Db, id: ObjectId): Promise<boolean> => {
  const { matchedCount } = await organizations(db).updateOne(
    { _id: id, status: { $in: ["provisioning", "deleting"] } },
    { $set: { status: "deleting" } },
    within(),
  );
  return matchedCount === 1;
};

/** Removes the record itself, which only one that is being deleted has come to. */
export async function removeRecord(db: Db, id: ObjectId): Promise<void> {
  await organizations(db).deleteOne({ _id: id, status: "deleting" }, within());
}

/** What all records say of places and moves; for those who look after all organizations at once. */
export const listAll = (db: Db): Promise<OrganizationDocument[]> =>
  organizations(db)
    .find(
      {},
      {
        projection: {
          organization_name: 1,
          status: 1,
          placement: 1,
          place_keys: 1,
          move: 1,
          connection_details: 1,
          created_at: 1,
        },
        ...majority,
        ...within(10 * 60_000),
      },
    )
    .toArray();

/** Ends a move whose operation has ended without it; a driver of that operation can't cut over any more. */
export async function endDeadMove(db: Db, id: ObjectId, operationId: ObjectId): Promise<void> {
  const filter = { _id: id, "move.operation_id": operationId };
  await organizations(db).updateOne(filter, { $unset: { move: true }, $inc: { "placement.epoch": 1 } }, within());
}

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
