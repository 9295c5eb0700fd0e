import type { Document, ObjectId } from "mongodb";
import { exactBson } from "../../lib/bson/bson.ts";
import { majority, within } from "../../lib/mongo/mongo.ts";
import type { Deployments } from "../deployments.ts";
import { isShared, type Placement } from "../placement.ts";
import { collectionAt } from "../scope.ts";
import { collectionsNamed, createPlace, dropCollection, identify, renameCollection } from "../place/storage.ts";

/**
 * Where a move copies to before the tenant is there (protocol: rule 6). What a driver that was overtaken still has on its way
 * must never be seen, so each driver has a place that carries its fence number.
 *
 * A collection: a driver that takes over renames its predecessor's to a name of its own; what arrives late at the old name
 * is a stray. How far the copy is stands in a marker inside the collection and travels with it; a stray never has one.
 * In the shared collection: nothing can be renamed there, so each driver copies from the beginning, under a key of its own.
 */
export type Stage = { placement: Placement; checkpoint: Checkpoint };
/** The tenant's id up to which everything was copied; `null` when nothing was. */
export type Checkpoint = { upTo: { id: unknown } | null; copied: number };

/** No tenant's document has an object for its `_id`, and no tenant this key. */
export const markerId = { croupier: "stage" };
export const markerKey = "~stage";
type Marker = { operation_id: ObjectId; fence: number; checkpoint: Checkpoint };

const stagePrefix = (target: Placement) => `${target.collection}~s`;
const stageOf = (target: Placement, fence: number): Placement => ({
  ...target,
  collection: `${stagePrefix(target)}${fence}`,
});

const start: Checkpoint = { upTo: null, copied: 0 };

/** What a tenant's own collection may be named while it is no tenant's place. */
export const isStage = (collection: string): boolean => /~s\d+$/.test(collection);
/** The collection whose stage one is; of another the name itself. */
export const placeOfStage = (collection: string): string => collection.replace(/~s\d+$/, "");

/** All stages of a target, and nothing else that somebody has named like it. */
const stagesOf = async (deployments: Deployments, target: Placement): Promise<string[]> =>
  (await collectionsNamed(deployments, target, stagePrefix(target))).filter(
    (collection) => placeOfStage(collection) === target.collection,
  );

async function readMarker(deployments: Deployments, at: Placement, operationId: ObjectId): Promise<Marker | null> {
  const filter = { _id: markerId as never, operation_id: operationId };
  const marker = await collectionAt(deployments, at).findOne(filter, { ...exactBson, ...majority, ...within() });
  return (
    marker && {
      operation_id: operationId,
      fence: Number(marker.fence),
      checkpoint: { upTo: marker.checkpoint.upTo, copied: Number(marker.checkpoint.copied) },
    }
  );
}

/** The driver's stage, its predecessor's work in it if there is any. Doing it again finds it as it was. */
export async function claimStage(
  deployments: Deployments,
  target: Placement,
  operationId: ObjectId,
  fence: number,
): Promise<Stage> {
  if (isShared(target)) return { placement: target, checkpoint: start };
  const own = stageOf(target, fence);
  const found: { placement: Placement; marker: Marker }[] = [];
  for (const collection of await stagesOf(deployments, target)) {
    const placement = { ...target, collection };
    const marker = await readMarker(deployments, placement, operationId);
    if (marker) found.push({ placement, marker });
  }
  const newest = found.sort((a, b) => b.marker.fence - a.marker.fence)[0];
  if (newest && (await adopt(deployments, newest.placement, own, fence))) {
    return { placement: own, checkpoint: newest.marker.checkpoint };
  }
  if (!(await createPlace(deployments, own))) throw new Error("another collection already has the stage's name");
  await collectionAt(deployments, own).updateOne(
    { _id: markerId as never, operation_id: operationId },
    { $set: { fence, checkpoint: start }, $setOnInsert: { tenant_id: markerKey } },
    { upsert: true, ...within() },
  );
  return { placement: own, checkpoint: start };
}

async function adopt(deployments: Deployments, from: Placement, own: Placement, fence: number): Promise<boolean> {
  if (from.collection !== own.collection) {
    const outcome = await renameCollection(deployments, from, own.collection, null);
    if (typeof outcome === "object") throw outcome.refused;
    if (outcome !== "renamed") return false;
  }
  // What was renamed may be a stray by now: then it has no marker.
  const { matchedCount } = await collectionAt(deployments, own).updateOne(
    { _id: markerId as never },
    { $set: { fence } },
    within(),
  );
  if (matchedCount === 0) await dropCollection(deployments, own, await identify(deployments, own));
  return matchedCount === 1;
}

/** Records how far the copy is. @throws Error when the stage is another driver's by now */
export async function saveCheckpoint(
  deployments: Deployments,
  { placement, checkpoint }: Stage,
  fence: number,
): Promise<void> {
  if (isShared(placement)) return;
  const change: Document = { $set: { checkpoint } };
  const filter = { _id: markerId as never, fence };
  const { matchedCount } = await collectionAt(deployments, placement).updateOne(filter, change, within());
  if (matchedCount !== 1) throw new Error("the stage was taken over by another driver");
}

/**
 * Gives the stage its final name, behind the gate. A name that is in use, be it by a predecessor of this very move that died
 * right after this, is left alone and false is returned: what one driver has unveiled no other renames or drops, as that
 * might arrive when the tenant lives there.
 */
export async function unveilStage(deployments: Deployments, stage: Placement, target: Placement): Promise<boolean> {
  if (isShared(target)) return true;
  const outcome = await renameCollection(deployments, stage, target.collection, null);
  if (outcome === "source_missing") throw new Error("the stage is gone");
  if (typeof outcome === "object") throw outcome.refused;
  return outcome === "renamed";
}

/** Removes the marker from the place that the stage has become. */
export async function removeMarker(deployments: Deployments, target: Placement): Promise<void> {
  if (!isShared(target)) await collectionAt(deployments, target).deleteOne({ _id: markerId as never }, within());
}

/** Removes every stage of a target, strays too: only for who holds the target, as nobody else has stages there. */
export async function removeStages(deployments: Deployments, target: Placement): Promise<void> {
  if (isShared(target)) return;
  for (const collection of await stagesOf(deployments, target)) {
    const stage = { ...target, collection };
    await dropCollection(deployments, stage, await identify(deployments, stage));
  }
}

/** Removes those stages of a target that can be shown to be of one move: by its marker, or by nothing but its tenant's documents. */
export async function removeStagesOf(
  deployments: Deployments,
  target: Placement,
  operationId: ObjectId,
): Promise<void> {
  for (const collection of await stagesOf(deployments, target)) {
    const at = { ...target, collection };
    const identity = await identify(deployments, at);
    const stray = async () => {
      const [own, other] = await Promise.all(
        [{ tenant_id: target.key }, { tenant_id: { $ne: target.key } }].map((filter) =>
          collectionAt(deployments, at).findOne(filter, within()),
        ),
      );
      return own !== null && other === null;
    };
    if (identity && ((await readMarker(deployments, at, operationId)) || (await stray())))
      await dropCollection(deployments, at, identity);
  }
}

/** Removes what a driver of this move unveiled at a place that the tenant never came to. */
export async function removeUnveiled(
  deployments: Deployments,
  at: Placement,
  operationId: ObjectId,
  assertHeld: () => void,
) {
  if (isShared(at) || !(await readMarker(deployments, at, operationId))) return;
  const identity = await identify(deployments, at);
  assertHeld();
  await dropCollection(deployments, at, identity);
}
