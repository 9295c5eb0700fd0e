import type { Db } from "mongodb";
import { exactBson } from "../lib/bson.ts";
import { majority, within } from "../lib/mongo.ts";
import { idOrder, type Position } from "./id-order.ts";
import type { Placement } from "./placement.ts";
import { collectionAt } from "./scope.ts";

const batchMax = 1_000;
const withoutTenant = { tenant_id: null };

/**
 * Marks the next documents that carry no tenant yet as the tenant's, in the order of `_id`, so that nothing is looked at
 * again and again in a large collection.
 *
 * @returns where the next ones begin, null when there were none; and how many were found
 */
export async function stampBatch(
  db: Db,
  placement: Placement,
  after: Position,
): Promise<{ next: Position; found: number }> {
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
    await collection.updateMany(filter, mark, within(60_000));
    return { next: { id: last._id }, found: batch.length };
  }
  return { next: null, found: 0 };
}
