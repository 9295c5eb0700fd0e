import { createHash } from "node:crypto";
import { type Collection, type Db, type Document, type Filter, ObjectId } from "mongodb";
import { heedsCollectionUuid } from "../../lib/mongo/collection-uuid.ts";
import { majority, buildIndexes, within } from "../../lib/mongo/mongo.ts";
import type { Deployments } from "../deployments.ts";
import { isShared, type Placement, placeKey, placeOfKey } from "../placement.ts";
import { collectionAt } from "../scope.ts";
import { removeStages, removeStagesOf } from "../copy/stage.ts";
import { identify, type PlaceLease, removePlace } from "./storage.ts";

/**
 * A place that a tenant has left, or had claimed and never came to. A statement that was sent before may still arrive: a
 * write makes a dropped collection again, which was never acknowledged; a drop, a rename or an index meant for this tenant
 * would hit the next one of the name. So (protocol: rule 7)
 *
 * - a place is retired before it is given up, whichever way out it is: by a move, a rename, a removal, or because it was
 *   claimed in vain; and whoever claims one looks here afterwards. So no two tenants ever overlap at one;
 * - it is looked at once more, until nothing has come any more;
 * - then its name can be had again where late statements carry the collection's UUID. Where the server reads over that
 *   (FerretDB), the record stays and the name is never given twice.
 *
 * `stages`: what drivers that were overtaken may still make late at the place that the tenant went to, beside it or under
 * keys that it doesn't have.
 */
export type RetiredPlace = {
  _id: ObjectId;
  /** A hash of its key, as it may be kept for good; without, it was retired by a version before. */
  place?: string;
  organization_id: ObjectId;
  /** As long as it is to be looked at. */
  placement: Placement;
  stages?: Placement[];
  /** The move whose stages they are. */
  move_id?: ObjectId;
  /** The place where the tenant must not be any more for this one to be touched: a rename from there to here may still arrive. */
  target_from?: string;
  /** When it is to be looked at; without, it has been, and nothing came. */
  due_at?: Date;
};

type NamedPlace = Parameters<typeof placeKey>[0];

const retired = (db: Db): Collection<RetiredPlace> => db.collection("retired_places");
const hashOf = (placement: NamedPlace) => createHash("sha256").update(placeKey(placement)).digest("base64url");

/** A statement ends within seconds at the client; so long may one be on its way. */
const lateMs = 30_000;
/** After something was found it is looked at again. */
const againMs = 10_000;
const heldBackMs = 10 * 60_000;
const strayMs = 10_000;

const inMs = (ms: number) => new Date(Date.now() + ms);

export const createRetiredIndexes = (db: Db): Promise<void> =>
  buildIndexes(
    retired(db),
    ["place", "due_at"].map((field) => ({ key: { [field]: 1 }, sparse: true })),
  );

type Leaving = Pick<RetiredPlace, "organization_id"> &
  Partial<Pick<RetiredPlace, "stages" | "move_id" | "target_from">>;

/** Retires a place; of one that is retired already only that it is to be looked at again. */
export async function retirePlace(db: Db, placement: Placement, { organization_id, ...more }: Leaving): Promise<void> {
  const place = hashOf(placement);
  const made = { _id: new ObjectId(), organization_id };
  await retired(db).updateOne(
    { place },
    { $set: { placement, due_at: inMs(lateMs), ...more }, $setOnInsert: made },
    { upsert: true, ...within() },
  );
}

/** Retires places by their keys, as an organization holds them. */
export async function retireKeys(db: Db, organizationId: ObjectId, places: readonly string[]): Promise<void> {
  for (const place of places) {
    const placement = placeOfKey(place, db.databaseName, organizationId.toHexString());
    await retirePlace(db, placement, { organization_id: organizationId });
  }
}

/** Those of some places that weren't left, in their order. To be asked again of one once it is claimed. */
export async function withoutRetired<T extends NamedPlace>(db: Db, placements: readonly T[]): Promise<T[]> {
  const found = await retired(db)
    .find({ place: { $in: placements.map(hashOf) } }, { projection: { place: 1 }, ...majority, ...within() })
    .toArray();
  const left = new Set(found.map(({ place }) => place));
  return placements.filter((placement) => !left.has(hashOf(placement)));
}

/** Whether a place was left and can't be had again, or not yet. */
export const isRetired = async (db: Db, placement: NamedPlace): Promise<boolean> =>
  (await withoutRetired(db, [placement])).length === 0;

export const findRetired = (db: Db, id: ObjectId): Promise<RetiredPlace | null> =>
  retired(db).findOne({ _id: id }, within());

/** Those to be looked at by now, in the order of `_id`, those after one of them. */
export const findDue = (db: Db, now: Date, after: ObjectId | null, limit: number): Promise<RetiredPlace[]> =>
  retired(db)
    .find({ due_at: { $lte: now }, ...(after && { _id: { $gt: after } }) }, { sort: { _id: 1 }, limit, ...within() })
    .toArray();

/** Those that are still to be looked at. */
export const listRetired = (db: Db): Promise<RetiredPlace[]> =>
  retired(db)
    .find({ due_at: { $exists: true } }, within(60_000))
    .toArray();

const change = (db: Db, { _id, due_at }: RetiredPlace, update: Document): Promise<unknown> =>
  // One that was retired anew meanwhile is looked at anew.
  retired(db).updateOne({ _id, due_at } as Filter<RetiredPlace>, update, within());

/** Nothing comes there any more: its name can be had again, or never. */
export async function settleRetired(
  { db, deployments }: { db: Db; deployments: Deployments },
  place: RetiredPlace,
): Promise<void> {
  const { _id, due_at, placement } = place;
  const { home } = deployments.of(placement.region);
  if (isShared(placement) || placement.tier === "enterprise" || (await heedsCollectionUuid(home))) {
    await retired(db).deleteOne({ _id, due_at } as Filter<RetiredPlace>, within());
  } else {
    // The collection's name tells the organization's, which may be gone.
    const kept = { $set: { place: hashOf(placement) }, $unset: { due_at: true, placement: true, stages: true } };
    await change(db, place, kept);
  }
}

/** It is looked at again soon, as something had come; or later, as it must be left as it is for now. */
export async function postponeRetired(db: Db, place: RetiredPlace, why: "found" | "held"): Promise<void> {
  await change(db, place, { $set: { due_at: inMs(why === "found" ? againMs : heldBackMs) } });
}

/**
 * Removes what drivers that were overtaken made late. Only while no move of the tenant is under way.
 *
 * @param live the key of the place where the tenant is
 * @param isHeld whether it holds a place: beside others there may be stages of whoever does
 */
export async function sweepStages(
  deployments: Deployments,
  { _id, move_id = _id, stages = [] }: RetiredPlace,
  { live, isHeld }: { live: string; isHeld: (place: Placement) => boolean },
  lease: PlaceLease,
): Promise<void> {
  for (const stage of stages) {
    await lease.keepHeld();
    if (!isShared(stage))
      await (isHeld(stage) ? removeStages(deployments, stage) : removeStagesOf(deployments, stage, move_id));
    else if (placeKey(stage) !== live) await removePlace(deployments, stage, null, lease);
  }
}

/** Removes what arrived late at a place that another tenant has by now: only what carries the one that left. */
export async function removeStrays(deployments: Deployments, placement: Placement): Promise<void> {
  await collectionAt(deployments, placement).deleteMany({ tenant_id: placement.key }, within(strayMs));
}

/**
 * Removes what arrived late at a place that nobody else has. A collection that holds anything of another tenant, or without
 * one, is left as it is.
 *
 * @returns whether there was nothing, something that is gone now, or something that was left
 */
export async function sweepPlace(
  deployments: Deployments,
  placement: Placement,
  lease: PlaceLease,
): Promise<"clean" | "swept" | "left"> {
  if (isShared(placement)) {
    const found = await collectionAt(deployments, placement).findOne({ tenant_id: placement.key }, within());
    await removePlace(deployments, placement, null, lease);
    return found ? "swept" : "clean";
  }
  const identity = await identify(deployments, placement);
  if (!identity) return "clean";
  const foreign = await collectionAt(deployments, placement).findOne({ tenant_id: { $ne: placement.key } }, within());
  if (foreign) return "left";
  await removePlace(deployments, placement, identity, lease);
  return "swept";
}
