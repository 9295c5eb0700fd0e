import type { ObjectId } from "mongodb";
import type { Deps } from "../deps.ts";
import { findEstablishedById } from "./store.ts";

/**
 * Before what needs an organization's documents and would stop half-way without them.
 *
 * @throws Failure `organization_without_place` when they are in a region that this service isn't connected to
 */
export async function assertReachable(
  { db, deployments }: Pick<Deps, "db" | "deployments">,
  organizationId: ObjectId,
): Promise<void> {
  const placement = (await findEstablishedById(db, organizationId))?.placement;
  if (placement) deployments.of(placement.region);
}
