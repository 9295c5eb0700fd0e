import * as adminStore from "../admin/store.ts";
import type { Flow, Step } from "../operation/operation.ts";
import * as organizationStore from "../organization/store.ts";
import * as sessionStore from "../session/session-store.ts";
import type { Placement } from "../tenant/placement.ts";
import { type CollectionIdentity, identify, removePlace } from "../tenant/storage.ts";
import { settleCommon } from "./common-index.ts";
import { organizationMissing } from "./failures.ts";
import { afterLeases } from "./lease-wait.ts";

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
const locate: RemoveStep = async ({ db, presence }, { organization_id }) => {
  await afterLeases({ presence });
  const placement = (await organizationStore.findById(db, organization_id))?.placement;
  return placement
    ? { go: "storage", progress: { placement, identity: await identify(db, placement) } }
    : { go: "admins" };
};

const removeStorage: RemoveStep = async (deps, { progress }) => {
  const { placement, identity } = progress as Progress;
  if (identity) await removePlace(deps.db, placement, identity, deps);
  await settleCommon(deps, placement.indexes ?? []);
  return { go: "admins" };
};

const removeAdmins: RemoveStep = async ({ db }, { organization_id }) => {
  await sessionStore.removeByOrganization(db, organization_id);
  await adminStore.removeAll(db, organization_id);
  return { go: "organization" };
};

const removeRecord: RemoveStep = async ({ db }, { organization_id }) => {
  await organizationStore.removeRecord(db, organization_id);
  return { done: true };
};

export const remove: Flow = {
  first: "hide",
  steps: { hide, locate, storage: removeStorage, admins: removeAdmins, organization: removeRecord },
};
