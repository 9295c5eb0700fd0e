import type { ObjectId } from "mongodb";
import type { Flow, Step, StepDeps } from "../operation/operation.ts";
import * as guarded from "../organization/guarded.ts";
import * as organizationStore from "../organization/store.ts";
import { removeNotes } from "../tenant/journal.ts";
import { type Placement, placeKey } from "../tenant/placement.ts";
import { findRetired, forgetRetired, removeStrays, sweepPlace, sweepStages } from "../tenant/retired.ts";
import { forgetOrganization } from "./forget.ts";
import { enter, organizationOf } from "./guard.ts";

type SweepStep = Step<{ retired_id: ObjectId }, Record<string, never>>;

/**
 * Looks once more at a place that a tenant has left, and lets others have its name. An operation, so that the tenant isn't
 * on its way back there at the same time.
 *
 * Invariant: a collection is dropped only while its name is held by the tenant that left it, or by nobody else. A tenant
 * that was removed meanwhile holds no names any more, and the next one of its name may live there by now.
 */
const sweepRetired: SweepStep = async (deps, operation) => {
  const { db, log } = deps;
  const retired = await findRetired(db, operation.input.retired_id);
  if (!retired) return { done: true };
  const organization = await organizationStore.findById(db, operation.organization_id);
  const key = placeKey(retired.placement);
  const live = organization?.placement ? placeKey(organization.placement) : "";
  // Other places carry the tenant's id.
  const isHeld = (place: Placement) =>
    place.tier !== "professional" || (organization?.place_keys?.includes(placeKey(place)) ?? false);
  await sweepStages(db, retired, { live, isHeld }, deps);
  if (live !== key) {
    const swept = isHeld(retired.placement)
      ? await sweepPlace(db, retired.placement, deps)
      : await sweepUnheld(deps, retired.placement);
    if (!swept) {
      const organization_id = operation.organization_id.toHexString();
      log.warn({ organization_id, place: key }, "others' documents at a place that was left");
    }
    if (organization) await guarded.releasePlaces(db, organizationOf(operation), retired._id);
  }
  // What was noted, begun or remembered late.
  await removeNotes(db, retired._id);
  if (!organization) await forgetOrganization(deps, operation.organization_id);
  await forgetRetired(db, retired._id);
  return { done: true };
};

/** Sweeps a place whose name nobody holds; of one that another tenant has by now, only what the one that left has there. */
async function sweepUnheld(deps: StepDeps, placement: Placement): Promise<boolean> {
  let swept: boolean | undefined;
  await organizationStore.withPlaceClaimed(deps.db, placeKey(placement), async () => {
    swept = await sweepPlace(deps.db, placement, deps);
  });
  if (swept === undefined) await removeStrays(deps.db, placement);
  return swept ?? true;
}

export const sweep: Flow = { first: "sweep", enter, steps: { sweep: sweepRetired } };
