import { type Document, MaxKey, MinKey } from "mongodb";
import { isShared, type Placement } from "./placement.ts";
import { afterInTurn } from "./query/page.ts";
import type { Direction } from "./query/sort.ts";
import { storedId } from "./stored.ts";

/** A position in a walk through a tenant's documents in the order of `_id`: after this one; null at the start. */
export type Position = { id: unknown } | null;

/** A sort, and filters of which all that one finds comes before all that the next one does. */
export type Walk = { sort: [string, Direction][]; ranges: Document[] };

/**
 * A tenant's documents in the order of `_id` from a position on: each filter, beside the tenant's, is one range of the
 * index of `_id`.
 *
 * In the shared collection whole `_id`s are compared. They are documents, which are compared field by field and across
 * types (MongoDB manual, "Comparison/Sort Order"), so those of one tenant are in the order of its own ids and all in one
 * range. By `_id.i` FerretDB would sort all that the tenant has for every few documents: of its indexes only that of `_id` is in order.
 */
export function idOrder(placement: Placement, direction: Direction, after: Position): Walk {
  const sort: [string, Direction][] = [["_id", direction]];
  if (!isShared(placement)) {
    return { sort, ranges: after ? afterInTurn([{ path: "_id", direction }], [after.id], "_id") : [{}] };
  }
  const bound = (id: unknown) => storedId(placement, id);
  const [least, most] = [bound(new MinKey()), bound(new MaxKey())];
  if (!after) return { sort, ranges: [{ _id: { $gte: least, $lte: most } }] };
  const at = bound(after.id);
  return { sort, ranges: [{ _id: direction === 1 ? { $gt: at, $lte: most } : { $gte: least, $lt: at } }] };
}
