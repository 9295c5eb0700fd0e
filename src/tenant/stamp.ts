import type { Db } from "mongodb";
import { majority, within } from "../lib/mongo.ts";
import type { Placement } from "./placement.ts";
import { collectionAt } from "./scope.ts";

const batchMax = 1_000;
const withoutTenant = { tenant_id: null };

/** Marks some documents that carry no tenant yet as the tenant's. @returns how many it found; none when all are marked */
export async function stampBatch(db: Db, placement: Placement): Promise<number> {
  const collection = collectionAt(db, placement);
  const batch = await collection
    .find(withoutTenant, {
      projection: { _id: 1 },
      limit: batchMax,
      promoteValues: false,
      ...majority,
      ...within(60_000),
    })
    .toArray();
  // One that was written meanwhile carries it already.
  const filter = { _id: { $in: batch.map(({ _id }) => _id) }, ...withoutTenant };
  const mark = { $set: { tenant_id: placement.key, _croupier: { v: 0, h: [] } } };
  if (batch.length > 0) await collection.updateMany(filter, mark, within(60_000));
  return batch.length;
}
