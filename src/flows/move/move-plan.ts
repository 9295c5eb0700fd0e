import { isRefusal } from "../../lib/failure.ts";
import { isUnauthorized } from "../../lib/mongo/mongo.ts";
import type { Next, StepDeps } from "../../operation/operation.ts";
import { leftOf, paceFrom } from "../../operation/pace.ts";
import * as guarded from "../../organization/guarded.ts";
import type { OrganizationDocument } from "../../organization/organization.ts";
import * as organizationStore from "../../organization/store.ts";
import type { Deployments } from "../../tenant/deployments.ts";
import { assertPortable, buildMs, copyIndexes, listIndexes } from "../../tenant/place/indexes.ts";
import { isShared, offerPlace, type Placement, placeKey, type TenantIndex } from "../../tenant/placement.ts";
import { countDocuments } from "../../tenant/place/count.ts";
import { findUnavailable, tierUnavailable } from "../../tenant/place/rights.ts";
import { claimStage, type Stage } from "../../tenant/copy/stage.ts";
import { dropSharedIndexes, identify } from "../../tenant/place/storage.ts";
import { organizationMissing } from "../failures.ts";
import { organizationOf } from "../guard.ts";
import { afterLeases } from "../lease-wait.ts";
import type { MoveOperation, MoveProgress, MoveStep } from "./move.ts";
import { choosePlace, whereOf } from "../place.ts";
import { makeShared } from "../indexes/shared-index.ts";

/** Chooses the place where the tenant is to go, if it may. */
export const plan: MoveStep = async (deps, operation) => {
  const organization = await organizationStore.findById(deps.db, operation.organization_id);
  const next = await choose(deps, operation, organization);
  // A driver that died here has reserved a place, perhaps.
  if (organization && !("go" in next)) await guarded.releasePlaces(deps.db, organizationOf(operation));
  return next;
};

async function choose(
  deps: StepDeps,
  operation: MoveOperation,
  organization: OrganizationDocument | null,
): Promise<Next<MoveProgress>> {
  const { deployments } = deps;
  const from = operation.progress.from ?? organization?.placement;
  if (!organization || !from) return { failed: organizationMissing };
  if (from.tier === operation.input.tier) {
    return { failed: { code: "move_pointless", detail: "The organization is already in this tier." } };
  }
  try {
    const offered = offerPlace(operation.input.tier, whereOf(deps, organization), 1);
    await assertPortable(deployments, from, offered, deps.config.starterIndexes);
  } catch (error) {
    if (!isRefusal(error)) throw error;
    return { failed: { code: error.failure, detail: error.message } };
  }
  const unavailable = await findUnavailable(deployments.of(from.region), [from.tier, operation.input.tier]);
  if (unavailable) return { failed: tierUnavailable(unavailable) };
  const chosen = await choosePlace(deps, operation, organization, 1);
  if (!chosen) return { failed: { code: "move_pointless", detail: "No place is available in this tier." } };
  return {
    go: "journal",
    progress: {
      from,
      source: isShared(from) ? null : await identify(deployments, from),
      candidate: chosen.candidate,
      ...(await announced(deployments, from, chosen.to, [])),
      abandoned: [],
      total: await countDocuments(deployments, from),
      copied: 0,
    },
  };
}

/**
 * What is recorded of a place in the shared collection before anything is made there: its key, as what is under one that
 * nobody knows is never removed; and the indexes, as those that all share stay as long as somebody is said to want them.
 */
const announced = async (deployments: Deployments, from: Placement, to: Placement, keys: string[]) =>
  isShared(to)
    ? { to: { ...to, indexes: await listIndexes(deployments, from) }, keys: [...keys, to.key] }
    : { to, keys };

/** Makes ready a stage of this driver's own and lets all processes know that from now on they note what they write. */
export const journal: MoveStep = async (deps, operation) => {
  const { db, deployments, assertHeld, mayTake } = deps;
  const { from, to, keys } = operation.progress as MoveProgress;
  const organization = await organizationStore.findById(db, operation.organization_id);
  if (!organization?.placement) return { failed: organizationMissing };
  // A driver died right after the cutover.
  if (placeKey(organization.placement) !== placeKey(from)) return { go: "clean" };

  const fence = organizationOf(operation).guard;
  const target = isShared(to) ? offerPlace("starter", whereOf(deps, organization), fence + 1) : to;
  // After `plan` it is; a driver that takes over has another key.
  if (isShared(target) && !keys.includes(target.key)) {
    return { go: "journal", progress: await announced(deployments, from, target, keys) };
  }
  const phase = { operation_id: operation._id, phase: "journal" as const };
  if ((await guarded.enterPhase(db, organizationOf(operation), phase)) !== "written") {
    return { failed: organizationMissing };
  }
  // What drivers before this one copied under keys of theirs is of no use any more.
  for (const key of keys) if (isShared(to) && key !== target.key) await dropSharedIndexes(deployments, { ...to, key });
  let stage: Stage;
  let indexes: TenantIndex[];
  try {
    stage = await claimStage(deployments, target, operation._id, fence);
    const { placement } = stage;
    const share = (index: TenantIndex, beside: readonly TenantIndex[]) =>
      makeShared(deps, operation, { placement, index, beside });
    const beforeEach = () => {
      assertHeld();
      mayTake(buildMs);
    };
    indexes = await copyIndexes(deployments, from, placement, beforeEach, share);
  } catch (error) {
    if (isUnauthorized(error)) {
      deps.log.error({ operation_id: operation._id, err: error }, "database user lacks a right");
      return { go: "cancel", progress: { failed: tierUnavailable(target.tier) } };
    }
    if (!isRefusal(error)) throw error;
    // It waits for its turn, and keeps nobody from anything.
    if (error.failure === "index_busy") return { go: "journal" };
    // It would be refused again, however often it is tried.
    return { go: "cancel", progress: { failed: { code: error.failure, detail: error.message } } };
  }
  await afterLeases(deps);
  return {
    go: "copy",
    progress: {
      fence,
      to: isShared(target) ? { ...target, indexes } : target,
      stage: isShared(target) ? { ...stage.placement, indexes } : stage.placement,
      upTo: stage.checkpoint.upTo,
      copied: stage.checkpoint.copied,
      ...newDriver,
      pace: paceFrom(deps, "copy", stage.checkpoint.copied, leftOf(operation.progress.total, stage.checkpoint.copied)),
    },
  };
};

/** Nothing is compared yet. */
const newDriver = {
  compared_to: [null, null],
  compared: 0,
  verified: false,
  fewest: null,
  vain: 0,
} satisfies Partial<MoveProgress>;
