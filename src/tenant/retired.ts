import type { Collection, Db, ObjectId } from "mongodb";
import { toBuild, within } from "../lib/mongo.ts";
import { isShared, type Placement, placeKey } from "./placement.ts";
import { collectionAt } from "./scope.ts";
import { removeStages, removeStagesOf } from "./stage.ts";
import { identify, type PlaceLease, removePlace } from "./storage.ts";

/**
 * A place that a tenant has left. A write that was sent before and arrives late makes a dropped collection again; it was
 * never acknowledged, and carries the tenant that nobody looks for there. So the place is looked at once more later, and
 * until then its name is given to no other tenant, unless this one is removed.
 *
 * `stages`: what drivers that were overtaken may still make late at the place that the tenant went to, beside it or under
 * keys that it doesn't have.
 */
export type RetiredPlace = {
  _id: ObjectId;
  organization_id: ObjectId;
  placement: Placement;
  stages?: Placement[];
  due_at: Date;
};

const retired = (db: Db): Collection<RetiredPlace> => db.collection("retired_places");

export async function createRetiredIndexes(db: Db): Promise<void> {
  await retired(db).createIndex({ due_at: 1 }, toBuild());
  await retired(db).createIndex({ organization_id: 1 }, toBuild());
}

/** A statement ends within seconds at the client; so long may one be on its way. */
const lateMs = 30_000;
const strayMs = 10_000;

export async function retirePlace(
  db: Db,
  operation: { _id: ObjectId; organization_id: ObjectId },
  placement: Placement,
  stages: Placement[] = [],
): Promise<void> {
  const { _id, organization_id } = operation;
  await retired(db).updateOne(
    { _id },
    { $set: { organization_id, placement, stages, due_at: new Date(Date.now() + lateMs) } },
    { upsert: true, ...within() },
  );
}

export const findRetired = (db: Db, id: ObjectId): Promise<RetiredPlace | null> =>
  retired(db).findOne({ _id: id }, within());

/** Those to be swept by now, in the order of `_id`, those after one of them. */
export const findDue = (db: Db, now: Date, after: ObjectId | null, limit: number): Promise<RetiredPlace[]> =>
  retired(db)
    .find({ due_at: { $lte: now }, ...(after && { _id: { $gt: after } }) }, { sort: { _id: 1 }, limit, ...within() })
    .toArray();

/** The places of a tenant whose names it holds until they are swept. @param but one that is */
export async function retiredKeys(db: Db, organizationId: ObjectId, but?: ObjectId): Promise<string[]> {
  const found = await retired(db).find({ organization_id: organizationId }, within()).toArray();
  return found.filter(({ _id }) => !but?.equals(_id)).map(({ placement }) => placeKey(placement));
}

export const listRetired = (db: Db): Promise<RetiredPlace[]> => retired(db).find({}, within(60_000)).toArray();

export async function forgetRetired(db: Db, id: ObjectId): Promise<void> {
  await retired(db).deleteOne({ _id: id }, within());
}

/**
 * Removes what drivers that were overtaken made late. Only while no move of the tenant is under way.
 *
 * @param live the key of the place where the tenant is
 * @param isHeld whether it holds a place: beside others there may be stages of whoever does
 */
export async function sweepStages(
  db: Db,
  { _id, stages = [] }: RetiredPlace,
  { live, isHeld }: { live: string; isHeld: (place: Placement) => boolean },
  lease: PlaceLease,
): Promise<void> {
  for (const stage of stages) {
    await lease.keepHeld();
    if (!isShared(stage)) await (isHeld(stage) ? removeStages(db, stage) : removeStagesOf(db, stage, _id));
    else if (placeKey(stage) !== live) await removePlace(db, stage, null, lease);
  }
}

/** Removes what arrived late at a place that another tenant has by now: only what carries the one that left. */
export async function removeStrays(db: Db, placement: Placement): Promise<void> {
  await collectionAt(db, placement).deleteMany({ tenant_id: placement.key }, within(strayMs));
}

/**
 * Removes what arrived late at a place that nobody else has. A collection that holds anything of another tenant, or without
 * one, is left as it is.
 *
 * @returns false when it was left
 */
export async function sweepPlace(db: Db, placement: Placement, lease: PlaceLease): Promise<boolean> {
  const identity = isShared(placement) ? null : await identify(db, placement);
  if (!isShared(placement)) {
    if (!identity) return true;
    const foreign = await collectionAt(db, placement).findOne({ tenant_id: { $ne: placement.key } }, within());
    if (foreign) return false;
  }
  await removePlace(db, placement, identity, lease);
  return true;
}
