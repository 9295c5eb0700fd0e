import type { Collection, Db, Document } from "mongodb";
import { buildIndexes, within } from "./mongo.ts";

/**
 * Documents that end by themselves, `afterSeconds` after the time that one of their fields holds; without it they stay. With
 * `part` only this field of theirs ends, which no engine does by itself.
 */
export type Expiring = { of(db: Db): Collection<any>; field: string; afterSeconds: number; part?: string };

/** MongoDB's TTL monitor looks about once a minute as well. */
export const sweepEveryMs = 60_000;
const batchMax = 500;
const batchesMax = 20;

export const createExpiryIndex = async (db: Db, { of, field, afterSeconds, part }: Expiring): Promise<void> => {
  const options = part === undefined ? { expireAfterSeconds: afterSeconds } : { sparse: true };
  await buildIndexes(of(db), [{ key: { [field]: 1 }, ...options }]);
};

/**
 * Removes what has ended, a bounded number of documents; where a TTL monitor runs it finds little. A document is kept a
 * minute longer than it says, for clocks that differ.
 *
 * @returns whether there may be more
 */
export async function removeExpired(db: Db, { of, field, afterSeconds, part }: Expiring, now: Date): Promise<boolean> {
  const ended: Document = { [field]: { $lt: new Date(now.getTime() - afterSeconds * 1000 - sweepEveryMs) } };
  const some = { projection: { _id: 1 }, sort: { [field]: 1 }, limit: batchMax } as const;
  for (let batch = 0; batch < batchesMax; batch++) {
    const found = await of(db)
      .find(ended, { ...some, ...within() })
      .toArray();
    // Asked once more: what was renewed meanwhile stays.
    const these = { _id: { $in: found.map(({ _id }) => _id) }, ...ended };
    if (found.length > 0 && part === undefined) await of(db).deleteMany(these, within());
    else if (found.length > 0) await of(db).updateMany(these, { $unset: { [part!]: "" } }, within());
    if (found.length < batchMax) return false;
  }
  return true;
}
