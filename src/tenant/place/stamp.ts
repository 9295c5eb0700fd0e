import { isRefusedDocument, majority, within } from "../../lib/mongo/mongo.ts";
import { elementsOf } from "../../lib/bson/raw-bson.ts";
import type { Deployments } from "../deployments.ts";
import { idOrder, type Position } from "../id-order.ts";
import type { Placement } from "../placement.ts";
import { exactId } from "../copy/portable.ts";
import { collectionAt } from "../scope.ts";

const batchMax = 1_000;
const withoutTenant = { tenant_id: null };

/**
 * Marks the next documents that carry no tenant yet as the tenant's, in the order of `_id`, so that nothing is looked at
 * again and again in a large collection.
 *
 * @returns where the next ones begin, null when there were none; how many were found; and how many of these the database
 * refuses to mark, by a validator, as they would be too large, or as it can't be asked for their `_id`
 */
export async function stampBatch(
  deployments: Deployments,
  placement: Placement,
  after: Position,
): Promise<{ next: Position; found: number; refused: number }> {
  const collection = collectionAt(deployments, placement);
  const { sort, ranges } = idOrder(placement, 1, after);
  let odd = 0;
  for (const range of ranges) {
    const batch = await collection
      .find(
        { $and: [withoutTenant, range] },
        { projection: { _id: 1 }, sort, limit: batchMax, raw: true, ...majority, ...within(60_000) },
      )
      .toArray();
    const each = batch.map((bytes) => exactIdIn(bytes as unknown as Uint8Array));
    const ids = each.flat();
    // Those after the last one are found again, from there on.
    odd += (ids.length > 0 ? each.findLastIndex((id) => id.length > 0) + 1 : each.length) - ids.length;
    if (ids.length === 0) continue;
    // One that was written meanwhile carries it already.
    const filter = { _id: { $in: ids as never[] }, ...withoutTenant };
    const mark = { $set: { tenant_id: placement.key, _croupier: { v: 0, h: [] } } };
    const refused = await refusedOf(
      () => collection.updateMany(filter, mark, within(60_000)),
      () => {
        const writes = ids.map((_id) => ({
          updateOne: { filter: { _id: _id as never, ...withoutTenant }, update: mark },
        }));
        return collection.bulkWrite(writes, { ordered: false, ...within(60_000) });
      },
    );
    return { next: { id: ids.at(-1) }, found: ids.length + odd, refused: refused + odd };
  }
  return { next: null, found: odd, refused: odd };
}

/** The `_id` of a document, or nothing where the database can't be asked for it. */
function exactIdIn(document: Uint8Array): unknown[] {
  const [id] = elementsOf(document);
  try {
    return [exactId(id!.type, id!.value)];
  } catch {
    return [];
  }
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
