import { unlessUnauthorized } from "../../lib/mongo/mongo.ts";
import { isShared, placeKey } from "../../tenant/placement.ts";
import * as guarded from "../../organization/guarded.ts";
import * as organizationStore from "../../organization/store.ts";
import { removeNotes } from "../../tenant/copy/journal.ts";
import { retirePlace } from "../../tenant/place/retired.ts";
import { removeMarker, removeStages, removeUnveiled } from "../../tenant/copy/stage.ts";
import { collectionsNamed, removePlace, removeShared } from "../../tenant/place/storage.ts";
import { tendCommon } from "../indexes/common-index.ts";
import { organizationMissing } from "../failures.ts";
import { organizationOf } from "../guard.ts";
import type { MoveInput, MoveOperation, MoveProgress, MoveStep } from "./move.ts";
import type { Flow, StepDeps } from "../../operation/operation.ts";

/** Removes what drivers of this move copied and the tenant never lived in. */
async function removeLeftovers(deps: StepDeps, operation: MoveOperation, live: string): Promise<void> {
  const { db, deployments, keepHeld, assertHeld } = deps;
  const { to, keys = [], abandoned = [] } = operation.progress as MoveProgress;
  for (const key of keys) {
    if (isShared(to) && placeKey({ ...to, key }) !== live) await removeShared(deployments, { ...to, key }, keepHeld);
  }
  await keepHeld();
  if (await mayBeMade(deps, operation)) {
    await removeStages(deployments, to);
    for (const place of [...abandoned, to]) {
      if (placeKey(place) !== live) await removeUnveiled(deployments, place, operation._id, assertHeld);
    }
  }
  await removeNotes(db, operation._id);
}

/** As long as no driver had a stage, a place that the database's user may not look at was never made. */
async function mayBeMade({ deployments }: StepDeps, { progress }: MoveOperation): Promise<boolean> {
  const { stage, to } = progress as Partial<MoveProgress> & Pick<MoveProgress, "to">;
  if (stage) return true;
  return (await unlessUnauthorized(() => collectionsNamed(deployments, to, to.collection))) !== null;
}

/** After the cutover: nothing of the tenant stays at the old place. What arrives there late was never acknowledged. */
export const clean: MoveStep = async (deps, operation) => {
  const { db, deployments, keepHeld } = deps;
  const organization = await organizationStore.findById(db, operation.organization_id);
  const { from, source, to, keys } = operation.progress as MoveProgress;
  if (!organization?.placement) return { failed: organizationMissing };
  const live = organization.placement;
  await removeMarker(deployments, live);
  await keepHeld();
  await retirePlace(db, from, {
    organization_id: operation.organization_id,
    stages: isShared(to) ? keys.map((key) => ({ ...to, key })) : [to],
    move_id: operation._id,
  });
  await removePlace(deployments, from, source, deps);
  await tendCommon(deps, operation, from.indexes ?? []);
  await removeLeftovers(deps, operation, placeKey(live));
  await guarded.releasePlaces(db, organizationOf(operation));
  return { done: true };
};

/** Before the cutover: the tenant goes on where it is, and nothing stays of the copy. */
export const cancelMove: MoveStep = async (deps, operation) => {
  const { db, deployments, assertHeld } = deps;
  const organization = await organizationStore.findById(db, operation.organization_id);
  const { from, to, failed } = operation.progress as Partial<MoveProgress>;
  if (!from || !to) {
    // Nothing was planned yet, and at the most a place reserved.
    if (organization) await guarded.releasePlaces(db, organizationOf(operation));
    return { cancelled: true };
  }
  if (organization?.placement && placeKey(organization.placement) !== placeKey(from)) return { go: "clean" };
  await guarded.leaveMove(db, organizationOf(operation), operation._id);
  await removeLeftovers(deps, operation, placeKey(from));
  await tendCommon(deps, operation, to.indexes ?? []);
  // The new database was nobody's yet.
  if (to.tier === "enterprise" && (await mayBeMade(deps, operation))) {
    assertHeld();
    await removePlace(deployments, to, null, deps);
  }
  await guarded.releasePlaces(db, organizationOf(operation));
  return failed ? { failed } : { cancelled: true };
};

/** What a move may have made, and where the tenant was before or was about to go, when a deletion has taken its place. */
export const removeMoved: NonNullable<Flow<MoveInput, MoveProgress>["removeLeft"]> = async (deps, operation, live) => {
  const { from, to, source, keys = [] } = operation.progress;
  if (!from || !to) return;
  // Its driver may have something on its way still.
  const { _id: move_id, organization_id } = operation;
  const stages = isShared(to) ? keys.map((key) => ({ ...to, key })) : [to];
  await retirePlace(deps.db, live, { organization_id, stages, move_id });
  await removeLeftovers(deps, operation, placeKey(live));
  for (const place of [from, to]) {
    if (placeKey(place) === placeKey(live)) continue;
    if (place === from) await removePlace(deps.deployments, from, source ?? null, deps);
    // The new database was nobody's yet; under another name there is nothing but what has just been removed.
    else if (to.tier === "enterprise") await removePlace(deps.deployments, to, null, deps);
  }
  await tendCommon(deps, operation, [...(from.indexes ?? []), ...(to.indexes ?? [])]);
};
