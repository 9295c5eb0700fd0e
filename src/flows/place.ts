import type { Operation, StepDeps } from "../operation/operation.ts";
import type { OrganizationDocument } from "../organization/organization.ts";
import * as guarded from "../organization/guarded.ts";
import { candidateNumbers, offerPlace, type Placement, placeKey, type Tier, type Where } from "../tenant/placement.ts";
import { isRetired, withoutRetired } from "../tenant/place/retired.ts";
import { identify } from "../tenant/place/storage.ts";
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
 * The places that a professional tenant could have, the best first: nothing has their name, and nobody has left them. Who
 * claims one has to ask once more whether it is retired: somebody may have left it before it was claimed.
 *
 * @param from the first of their numbers
 * @param guard of the driver that asks
 */
export async function* freePlaces(
  { db, deployments }: Pick<StepDeps, "db" | "deployments">,
  where: Where,
  from: number,
  guard: number,
): AsyncGenerator<Chosen> {
  const numbers = candidateNumbers(from, guard);
  const offered = numbers.map((number) => offerPlace("professional", where, number));
  for (const to of await withoutRetired(db, offered)) {
    if (!(await identify(deployments, to))) yield { to, candidate: numbers[offered.indexOf(to)]! };
  }
}

/**
 * Claims the first free place of a tier, from a candidate on; null when there is none. The places of other tiers than
 * professional have a number that no place had before: the guard's.
 */
export async function choosePlace(
  deps: StepDeps,
  operation: Operation<{ tier: Tier }>,
  organization: OrganizationDocument,
  from: number,
): Promise<Chosen | null> {
  const { tier } = operation.input;
  const owner = organizationOf(operation);
  const where = whereOf(deps, organization);
  if (tier !== "professional") return { to: offerPlace(tier, where, owner.guard + from), candidate: from };
  return await claimPlace(deps, owner, freePlaces(deps, where, from, owner.guard));
}

/** Claims the first of some places that can be had; null when none can, or the organization is gone. */
export async function claimPlace(
  { db }: Pick<StepDeps, "db">,
  owner: guarded.Guarded,
  places: AsyncIterable<Chosen>,
): Promise<Chosen | null> {
  for await (const place of places) {
    const written = await guarded.reservePlace(db, owner, placeKey(place.to));
    if (written === "missing") return null;
    if (written === "written" && !(await isRetired(db, place.to))) return place;
  }
  return null;
}
