import { isLate, majority, within } from "../../lib/mongo/mongo.ts";
import type { Deployments } from "../deployments.ts";
import type { Placement } from "../placement.ts";
import { collectionAt } from "../scope.ts";
import { ofTenant } from "../stored.ts";

const countMsMax = 10_000;

/**
 * How many documents a tenant has at a placement; null when that would take long. No index would make it quicker: a million
 * are counted in about half a second, by an index of `tenant_id` alone too.
 */
export async function countDocuments(deployments: Deployments, placement: Placement): Promise<number | null> {
  try {
    const options = { ...majority, ...within(countMsMax) };
    return await collectionAt(deployments, placement).countDocuments(ofTenant(placement), options);
  } catch (error) {
    if (isLate(error)) return null;
    throw error;
  }
}
