import type { Operation, StepDeps } from "../operation/operation.ts";
import type { OrganizationDocument } from "../organization/organization.ts";
import * as guarded from "../organization/guarded.ts";
import { candidatesMax, offerPlace, type Placement, placeKey, type Tier } from "../tenant/placement.ts";
import { hasDocuments } from "../tenant/storage.ts";
import { organizationOf } from "./guard.ts";

/** Whose places are meant, and where the shared ones are. */
export const whereOf = (
  { db }: Pick<StepDeps, "db">,
  { _id, organization_name }: Pick<OrganizationDocument, "_id" | "organization_name">,
) => ({
  masterDatabase: db.databaseName,
  organizationId: _id.toHexString(),
  organizationName: organization_name,
});

export type Chosen = { to: Placement; candidate: number };

/**
 * Claims the first free place of a tier, from a candidate on; null when there is none. A professional tenant's isn't free
 * while a collection of nobody's has documents there. The others have a number that no place had before: the guard's.
 */
export async function choosePlace(
  deps: StepDeps,
  operation: Operation<{ tier: Tier }>,
  organization: OrganizationDocument,
  from: number,
): Promise<Chosen | null> {
  const { db } = deps;
  const { tier } = operation.input;
  const owner = organizationOf(operation);
  const where = whereOf(deps, organization);
  for (let candidate = from; candidate < from + candidatesMax; candidate++) {
    const to = offerPlace(tier, where, tier === "professional" ? candidate : owner.guard + candidate);
    if (tier !== "professional") return { to, candidate };
    if (await hasDocuments(db, to)) continue;
    const written = await guarded.reservePlace(db, owner, placeKey(to));
    if (written === "place_taken") continue;
    return written === "written" ? { to, candidate } : null;
  }
  return null;
}
