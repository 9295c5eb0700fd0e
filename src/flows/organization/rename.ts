import { setTimeout as sleep } from "node:timers/promises";
import type { Operation, Step, StepDeps } from "../../operation/operation.ts";
import * as guarded from "../../organization/guarded.ts";
import * as organizationStore from "../../organization/store.ts";
import { candidateNumbers, offerPlace, type Placement, placeKey } from "../../tenant/placement.ts";
import { retirePlace, sweepPlace } from "../../tenant/place/retired.ts";
import {
  type CollectionIdentity,
  createPlace,
  dropCollection,
  identify,
  isSameCollection,
  renameCollection,
} from "../../tenant/place/storage.ts";
import { askedOf } from "./asked.ts";
import { organizationMissing } from "../failures.ts";
import { organizationOf } from "../guard.ts";
import { afterLeases } from "../lease-wait.ts";
import type { UpdateInput, UpdateSecret } from "./update.ts";
import { claimPlace, type Chosen, freePlaces, whereOf } from "../place.ts";

export type UpdateProgress = {
  from: Placement;
  to: Placement;
  candidate: number;
  /** The collection that is renamed, as the server knows it; null when there was none. */
  source: CollectionIdentity | null;
  /** The guard of the driver that sealed the organization, and may send the rename. */
  sealed_by: number;
  /** How often the database refused the rename. */
  refused: number;
  /** A recovery came before the new password, and its own stays. */
  password_kept: true;
};
type RenameOperation = Operation<UpdateInput, UpdateProgress>;
type RenameStep = Step<UpdateInput, UpdateProgress>;

/** After so many refusals the documents stay where they are. */
const refusedMax = 3;
const pauseMs = 1_000;

/**
 * A professional tenant's documents come along to the collection of its new name: claim the new place, close the gate, seal,
 * rename the collection, change the placement. Nothing of this depends on their number.
 *
 * While it is sealed nobody reads or writes, so it must not stay so for long: when the database refuses the rename, as others
 * are building an index there say, the gate opens again and it is tried later; after some tries the documents stay where they
 * are, under the new name, which `connection_details` says.
 *
 * Invariant: the gate is opened only at the place that the placement names, and when no rename can happen any more. A rename that
 * got no answer, of a driver that died too, may still: it can't once something has the name that it would give.
 */
const reservePlace: RenameStep = async (deps, operation) => {
  const { progress } = operation;
  const { organization_name } = askedOf<UpdateInput, UpdateSecret>(operation);
  const organization = await organizationStore.findById(deps.db, operation.organization_id);
  const from = progress.from ?? organization?.placement;
  // No place is known, so nothing can be brought along; or it isn't named after the organization.
  if (!organization || !from || organization_name === undefined || from.tier !== "professional") {
    return { done: true };
  }
  const owner = organizationOf(operation);
  const where = whereOf(deps, { _id: organization._id, organization_name });
  const own = candidateNumbers(1, owner.guard).find(
    (number) => offerPlace("professional", where, number).collection === from.collection,
  );
  const free = freePlaces(deps, where, progress.candidate ?? 1, owner.guard);
  const chosen = await claimPlace(deps, owner, before(free, own));
  // It has the best place that there is; or there is none, and it stays where it is.
  if (!chosen) return { go: "open" };
  const { to, candidate } = chosen;
  const source = await identify(deps.deployments, from);
  return { go: "close", progress: { from, to: { ...from, collection: to.collection }, candidate, source } };
};

async function* before(places: AsyncIterable<Chosen>, number = Number.POSITIVE_INFINITY): AsyncGenerator<Chosen> {
  for await (const place of places) {
    if (place.candidate >= number) return;
    yield place;
  }
}

/** Closes the gate: once every lease has run out nobody writes to the collection's old name, which would make it again. */
const closeGate: RenameStep = async ({ db, presence }, operation) => {
  const closed = { operation_id: operation._id, phase: "gate" as const };
  const written = await guarded.enterPhase(db, organizationOf(operation), closed);
  if (written !== "written") return { failed: organizationMissing };
  await afterLeases({ presence });
  return { go: "seal" };
};

/**
 * Readers wait too, for the moment between the new name and the cutover, when there is nothing under the name that they
 * know. None holds a lease any more, so whoever is reading now will ask, and look again.
 */
const seal: RenameStep = async ({ db }, operation) => {
  const owner = organizationOf(operation);
  const sealed = { operation_id: operation._id, phase: "sealed" as const };
  const written = await guarded.enterPhase(db, owner, sealed);
  return written === "written"
    ? { go: "rename", progress: { sealed_by: owner.guard } }
    : { failed: organizationMissing };
};

const renameStorage: RenameStep = async (deps, operation) => {
  const { db, deployments, assertHeld } = deps;
  const { from, to, source } = operation.progress as UpdateProgress;
  // A driver that had opened the gate again died before it could say so.
  const { move } = await organizationStore.getById(db, operation.organization_id);
  if (move?.phase !== "sealed") return { go: "close" };
  assertHeld();
  const outcome = source ? await renameCollection(deployments, from, to.collection, source) : "source_missing";
  if (outcome === "renamed") return { go: "placement" };
  // The first try of this step, whoever made it.
  if (isSameCollection(source, await identify(deployments, to))) return { go: "placement" };
  if (typeof outcome === "object") {
    deps.log.warn({ operation_id: operation._id, err: outcome.refused }, "rename refused by the database");
    return await reopen(deps, operation);
  }
  // There is nothing to be renamed.
  if (outcome === "source_missing" && (await createPlace(deployments, to))) return { go: "placement" };
  return await passOver(deps, operation);
};

/** Something else has the name that was claimed: the next one is tried. */
async function passOver({ db }: StepDeps, { organization_id, progress }: RenameOperation) {
  const { from, to, candidate } = progress as UpdateProgress;
  await retirePlace(db, to, { organization_id, target_from: placeKey(from) });
  return { go: "place", progress: { candidate: candidate + 1 } };
}

/** Lets readers and writers in again where they were, and tries the rename again later, or not at all. */
async function reopen(deps: StepDeps, operation: RenameOperation): ReturnType<RenameStep> {
  const { db, deployments, assertHeld } = deps;
  const { to, source, sealed_by, refused = 0 } = operation.progress as UpdateProgress;
  const owner = organizationOf(operation);
  const isUnanswered = sealed_by !== owner.guard;
  let next: Awaited<ReturnType<RenameStep>> = { go: "close" };
  if (isUnanswered) {
    // From here on the name is taken, so that the rename which got no answer fails, or has happened.
    assertHeld();
    await createPlace(deployments, to);
    if (isSameCollection(source, await identify(deployments, to))) return { go: "placement" };
    next = await passOver(deps, operation);
  }
  await guarded.leaveMove(db, owner, operation._id);
  if (refused + 1 >= refusedMax) return { go: "open" };
  await sleep(pauseMs * (refused + 1));
  return { ...next, progress: { ...next.progress, refused: refused + 1 } };
}

/** The cutover, which opens the gate; what arrived late under the old name goes before another can have it. */
const writePlacement: RenameStep = async (deps, operation) => {
  const { db, deployments } = deps;
  const { from, to } = operation.progress as UpdateProgress;
  const owner = organizationOf(operation);
  const { placement } = await organizationStore.getById(db, operation.organization_id);
  if (placement && placeKey(placement) === placeKey(from)) {
    const written = await guarded.cutOver(db, owner, operation._id, placement, { ...placement, ...to });
    if (written !== "written") return { go: "open" };
  }
  await sweepPlace(deployments, from, deps);
  await guarded.releasePlaces(db, owner);
  return { done: true };
};

const openGate: RenameStep = async ({ db }, operation) => {
  await guarded.leaveMove(db, organizationOf(operation), operation._id);
  await guarded.releasePlaces(db, organizationOf(operation));
  return { done: true };
};

/** The steps of an update that brings the documents along, from `place` on. */
export const rename = {
  place: reservePlace,
  close: closeGate,
  seal,
  rename: renameStorage,
  placement: writePlacement,
  open: openGate,
};

/** The documents may have the new name already, while the record still says the old one. */
export const removeRenamed = async (deps: StepDeps, { progress }: RenameOperation, live: Placement): Promise<void> => {
  const { from, to, source = null } = progress;
  for (const place of [from, to]) {
    if (!place || placeKey(place) === placeKey(live)) continue;
    const found = await identify(deps.deployments, place);
    deps.assertHeld();
    if (isSameCollection(found, source)) await dropCollection(deps.deployments, place, found);
    else await sweepPlace(deps.deployments, place, deps);
  }
};
