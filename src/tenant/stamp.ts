import type { Db } from "mongodb";
import { exactBson } from "../lib/bson.ts";
import { majority, within } from "../lib/mongo.ts";
import type { Position } from "./copy.ts";
import type { Placement } from "./placement.ts";
import { afterInTurn } from "./query/page.ts";
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
  const parts = after ? afterInTurn([{ path: "_id", direction: 1 }], [after.id], "_id") : [{}];
  for (const part of parts) {
    const batch = await collection
      .find(
        { $and: [withoutTenant, part] },
        { projection: { _id: 1 }, sort: { _id: 1 }, limit: batchMax, ...exactBson, ...majority, ...within(60_000) },
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
