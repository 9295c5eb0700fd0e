import type { Db } from "mongodb";
import { isDuplicateKey, isRivalry, retryDeadlock, within } from "../lib/mongo/mongo.ts";
import type { Operation } from "./operation.ts";
import { buildIndex, held, operations } from "./store.ts";

/**
 * Gives an operation the turn to build an index where all do so one at a time; false when another has it, or the lease was
 * lost. It keeps it when its driver dies, for whoever takes over, and loses it with the step, and when it stops or is superseded.
 */
export async function takeBuildTurn(db: Db, operation: Operation): Promise<boolean> {
  try {
    const take = () => operations(db).updateOne(held(operation), { $set: { builds: true } }, within());
    return (await retryDeadlock(take)).matchedCount === 1;
  } catch (error) {
    if (isDuplicateKey(error, buildIndex) || isRivalry(error)) return false;
    throw error;
  }
}

export const endBuildTurn = (db: Db, operation: Operation) =>
  operations(db).updateOne(held(operation), { $unset: { builds: true } }, within());
