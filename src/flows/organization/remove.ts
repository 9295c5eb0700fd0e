import { setTimeout as sleep } from "node:timers/promises";
import * as adminStore from "../../admin/store.ts";
import { flowOf } from "../../operation/known.ts";
import type { Flow, Operation, Step, StepDeps } from "../../operation/operation.ts";
import * as organizationStore from "../../organization/store.ts";
import type { Placement } from "../../tenant/placement.ts";
import { type CollectionIdentity, identify, removePlace } from "../../tenant/place/storage.ts";
import { tendCommon } from "../indexes/common-index.ts";
import { organizationMissing } from "../failures.ts";
import { forgetOrganization } from "./forget.ts";
import { leasesLastMs } from "../lease-wait.ts";

type Progress = { placement: Placement; identity: CollectionIdentity | null };
type RemoveStep = Step<Record<string, never>, Progress>;

/**
 * Removes an organization and all that it has. Hiding it is the switch; its record goes last, so that its name is free
 * only when nothing is left under it.
 */
const hide: RemoveStep = async ({ db }, { organization_id }) =>
  (await organizationStore.startDeleting(db, organization_id)) ? { go: "locate" } : { failed: organizationMissing };

/**
 * Waits until nobody writes there any more, and notes which collection it is, so that a drop that arrives late can't hit the
 * next one of that name.
 */
const locate: RemoveStep = async (deps, { organization_id, superseded }) => {
  const { db, deployments } = deps;
  await sleep(Math.max(await leasesLastMs(deps), superseded?.held_ms ?? 0));
  const placement = (await organizationStore.findById(db, organization_id))?.placement;
  return placement
    ? { go: "storage", progress: { placement, identity: await identify(deployments, placement) } }
    : { go: "admins" };
};

const removeStorage: RemoveStep = async (deps, operation) => {
  const { placement, identity } = operation.progress as Progress;
  await removeLeft(deps, operation, placement);
  if (identity) await removePlace(deps.deployments, placement, identity, deps);
  await tendCommon(deps, operation, placement.indexes ?? []);
  return { go: "admins" };
};

/** What an operation into whose place the deletion has come has left beside the place where the tenant lives. */
async function removeLeft(deps: StepDeps, operation: Operation, live: Placement): Promise<void> {
  const { superseded, ...by } = operation;
  if (superseded) await flowOf(deps.flows, superseded.kind).removeLeft?.(deps, { ...by, ...superseded }, live);
}

const removeAdmins: RemoveStep = async (deps, { organization_id }) => {
  await forgetOrganization(deps, organization_id);
  await adminStore.removeAll(deps.db, organization_id);
  return { go: "organization" };
};

const removeRecord: RemoveStep = async ({ db }, { organization_id }) => {
  await organizationStore.removeRecord(db, organization_id);
  return { done: true };
};

export const remove: Flow<Record<string, never>, Progress> = {
  first: "hide",
  acts: () => [{ act: "organization.delete" }],
  view: () => ({}),
  places: ({ placement }) => (placement ? [placement] : []),
  endsOrganization: "succeeded",
  temporary: ["progress.placement", "progress.identity"],
  steps: { hide, locate, storage: removeStorage, admins: removeAdmins, organization: removeRecord },
  isLong: true,
};
