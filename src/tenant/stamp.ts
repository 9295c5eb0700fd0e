import type { Db } from "mongodb";
import { exactBson } from "../lib/bson.ts";
import { isRefusedDocument, majority, within } from "../lib/mongo.ts";
import { idOrder, type Position } from "./id-order.ts";
import type { Placement } from "./placement.ts";
import { collectionAt } from "./scope.ts";

const batchMax = 1_000;
const withoutTenant = { tenant_id: null };

/**
 * Marks the next documents that carry no tenant yet as the tenant's, in the order of `_id`, so that nothing is looked at
 * again and again in a large collection.
 *
 * @returns where the next ones begin, null when there were none; how many were found; and how many of these the database
 * refuses to mark, by a validator or as they would be too large
 */
export async function stampBatch(
  db: Db,
  placement: Placement,
  after: Position,
): Promise<{ next: Position; found: number; refused: number }> {
  const collection = collectionAt(db, placement);
  const { sort, ranges } = idOrder(placement, 1, after);
  for (const range of ranges) {
    const batch = await collection
      .find(
        { $and: [withoutTenant, range] },
        { projection: { _id: 1 }, sort, limit: batchMax, ...exactBson, ...majority, ...within(60_000) },
      )
      .toArray();
    const last = batch.at(-1);
    if (!last) continue;
    // One that was written meanwhile carries it already.
    const filter = { _id: { $in: batch.map(({ _id }) => _id) }, ...withoutTenant };
    const mark = { $set: { tenant_id: placement.key, _croupier: { v: 0, h: [] } } };
    const refused = await refusedOf(
      () => collection.updateMany(filter, mark, within(60_000)),
      () => {
        const each = batch.map(({ _id }) => ({ updateOne: { filter: { _id, ...withoutTenant }, update: mark } }));
        return collection.bulkWrite(each, { ordered: false, ...within(60_000) });
      },
    );
    return { next: { id: last._id }, found: batch.length, refused };
  }
  return { next: null, found: 0, refused: 0 };
}

/** How many documents are refused: one of them ends the statement that is for all, so each is tried by itself then. */
async function refusedOf(all: () => Promise<unknown>, each: () => Promise<unknown>): Promise<number> {
  try {
    await all();
    return 0;
  } catch (error) {
    if (!isRefusedDocument(error)) throw error;
  }
  try {
    await each();
    return 0;
  } catch (error) {
    const errors = [(error as { writeErrors?: unknown }).writeErrors ?? error].flat();
    if (!errors.every(isRefusedDocument)) throw error;
    return errors.length;
  }
}
