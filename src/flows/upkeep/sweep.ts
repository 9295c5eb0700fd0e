import type { ObjectId } from "mongodb";
import type { Flow, Step, StepDeps } from "../../operation/operation.ts";
import * as guarded from "../../organization/guarded.ts";
import * as organizationStore from "../../organization/store.ts";
import { removeNotes } from "../../tenant/copy/journal.ts";
import { type Placement, placeKey } from "../../tenant/placement.ts";
import {
  findRetired,
  postponeRetired,
  removeStrays,
  settleRetired,
  sweepPlace,
  sweepStages,
} from "../../tenant/place/retired.ts";
import { forgetOrganization } from "../organization/forget.ts";
import { enter, organizationOf } from "../guard.ts";

type SweepInput = { retired_id: ObjectId };
type SweepStep = Step<SweepInput>;

/**
 * Looks once more at a place that a tenant has left, and lets others have its name. An operation, so that the tenant isn't
 * on its way back there at the same time.
 *
 * Invariant: nobody claims a place that is retired, so what is there is a stray, or was always somebody else's.
 */
const sweepRetired: SweepStep = async (deps, operation) => {
  const { db, deployments, log } = deps;
  const retired = await findRetired(db, operation.input.retired_id);
  if (!retired?.due_at) return { done: true };
  const organization = await organizationStore.findById(db, operation.organization_id);
  const live = organization?.placement ? placeKey(organization.placement) : "";
  if (retired.target_from === live) {
    await postponeRetired(db, retired, "held");
    return { done: true };
  }
  // Other places carry the tenant's id.
  const isHeld = (place: Placement) =>
    place.tier !== "professional" || (organization?.place_keys?.includes(placeKey(place)) ?? false);
  await sweepStages(deployments, retired, { live, isHeld }, deps);
  const key = placeKey(retired.placement);
  const outcome = live === key ? "clean" : await sweepOnce(deps, operation.organization_id, retired.placement);
  if (outcome === "left") {
    const organization_id = operation.organization_id.toHexString();
    log.warn({ organization_id, place: key }, "documents of another tenant in a place that its tenant has left");
  }
  // As a version before held it.
  if (organization && live !== key) await guarded.releasePlaces(db, organizationOf(operation));
  // What was noted, begun or remembered late.
  await removeNotes(db, retired.move_id ?? retired._id);
  if (!organization) await forgetOrganization(deps, operation.organization_id);
  await (outcome === "swept" ? postponeRetired(db, retired, "found") : settleRetired(deps, retired));
  return { done: true };
};

async function sweepOnce(deps: StepDeps, organizationId: ObjectId, placement: Placement) {
  const holder = await organizationStore.findByPlace(deps.db, placeKey(placement));
  if (!holder || holder._id.equals(organizationId)) return await sweepPlace(deps.deployments, placement, deps);
  // A version before let another tenant have it.
  await removeStrays(deps.deployments, placement);
  return "clean";
}

/** The place stays on record, and is looked at another time. */
const putOff: SweepStep = async () => ({ cancelled: true });

export const sweep: Flow<SweepInput> = {
  first: "sweep",
  enter,
  steps: { sweep: sweepRetired, put_off: putOff },
  undo: { sweep: "put_off" },
  acts: () => [],
  view: () => ({}),
  // The place itself is on record.
  places: () => [],
  isLong: true,
  givesWay: true,
};
