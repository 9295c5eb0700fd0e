import { randomUUID } from "node:crypto";
import type { Collection, Db } from "mongodb";
import { isDuplicateKeyOfAny, isRivalry, isUnnamedDuplicateKey, within } from "./mongo.ts";

type Chore = { _id: string; at: Date; by: string };
const chores = (db: Db): Collection<Chore> => db.collection("chores");

/**
 * For what one process of all is to do now and then: true for whoever comes first when it was nobody's turn for so long, by
 * the database's clock.
 */
export async function takeTurn(db: Db, chore: string, everyMs: number): Promise<boolean> {
  const by = randomUUID();
  const isDue = { $lt: [{ $ifNull: ["$at", new Date(0)] }, { $subtract: ["$$NOW", everyMs] }] };
  const turn = { at: { $cond: [isDue, "$$NOW", "$at"] }, by: { $cond: [isDue, by, "$by"] } };
  try {
    const options = { upsert: true, returnDocument: "after", ...within() } as const;
    return (await chores(db).findOneAndUpdate({ _id: chore }, [{ $set: turn }], options))?.by === by;
  } catch (error) {
    // A rival has it.
    if (isDuplicateKeyOfAny(error) || isUnnamedDuplicateKey(error) || isRivalry(error)) return false;
    throw error;
  }
}
