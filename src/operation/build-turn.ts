import type { Db } from "mongodb";
import { isDuplicateKey, isRivalry, retryDeadlock, within } from "../lib/mongo/mongo.ts";
import type { Operation } from "./operation.ts";
import { buildIndex, held, operations } from "./store.ts";

/**
 * Gives an operation the turn to build an index where all do so one at a time; false when another has it or has waited longer, or
 * the lease was lost. It keeps it when its driver dies, for whoever takes over, and loses it with the step, and when it stops or
 * is superseded.
 */
export async function takeBuildTurn(db: Db, operation: Operation): Promise<boolean> {
  // One that has it since before its driver died waits for nobody: they wait for it.
  if (!operation.builds && !(await isNext(db, operation))) return false;
  try {
    const change = { $set: { builds: true }, $unset: { awaits_turn: true } } as const;
    const take = () => operations(db).updateOne(held(operation), change, within());
    return (await retryDeadlock(take)).matchedCount === 1;
  } catch (error) {
    if (isDuplicateKey(error, buildIndex) || isRivalry(error)) return false;
    throw error;
  }
}

/** Puts an operation behind those that wait for the turn already: whoever asks again and again comes after everybody else. */
export const awaitBuildTurn = (db: Db, operation: Operation) =>
  operations(db).updateOne(
    held(operation),
    [{ $set: { awaits_turn: { $ifNull: ["$awaits_turn", "$$NOW"] } } }],
    within(),
  );

/** By this process's clock one that nobody drives doesn't wait. Where that is wrong, the turn is somebody else's first. */
async function isNext(db: Db, { _id }: Operation): Promise<boolean> {
  const waiting = { open: true, "lease.until": { $gt: new Date() }, awaits_turn: { $exists: true } } as const;
  const options = { sort: { awaits_turn: 1 }, projection: { _id: 1 }, ...within() } as const;
  const first = await operations(db).findOne(waiting, options);
  return first === null || first._id.equals(_id);
}

export const endBuildTurn = (db: Db, operation: Operation) =>
  operations(db).updateOne(held(operation), { $unset: { builds: true, awaits_turn: true } }, within());
