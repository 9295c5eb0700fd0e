import { within } from "../../lib/mongo/mongo.ts";
import { isCommon, noRoom, sharedIndexName } from "./indexes.ts";
import type { Deployments } from "../deployments.ts";
import type { Placement, TenantIndex } from "../placement.ts";
import { collectionAt } from "../scope.ts";

/** MongoDB's limit for a collection, and FerretDB's. */
const indexesMax = 64;
/** So many are kept for those who have taken none, and as many more for those who have taken one. */
const keptForFewer = 20;

/** What the shared collection has and can take. */
export type SharedRoom = { has(index: TenantIndex): boolean; isTaken(index: TenantIndex): boolean; free: number };

/** `has`: it is there as it is made today; `isTaken`: it needs no room that isn't its own already. */
export async function readSharedRoom(deployments: Deployments, placement: Placement): Promise<SharedRoom> {
  const all = await collectionAt(deployments, placement).listIndexes(within()).toArray();
  const named = new Map(all.map((one) => [String(one.name), one]));
  return {
    has(index) {
      const found = named.get(sharedIndexName(placement, index));
      // An earlier version's held the documents of all tenants.
      return found !== undefined && (!isCommon(index) || found.partialFilterExpression !== undefined);
    },
    isTaken: (index) => named.has(sharedIndexName(placement, index)),
    free: indexesMax - all.length,
  };
}

/**
 * Those who have less come first: nobody's second index takes the room of another's first one, nor a third one that of a second.
 *
 * @param taken how many of those that are there only this tenant lists
 * @throws Failure `index_limit`
 */
export function assertRoom(free: number, taken: number): void {
  if (free > Math.min(taken, 2) * keptForFewer) return;
  throw noRoom(free <= 0);
}
