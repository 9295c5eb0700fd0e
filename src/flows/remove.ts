import * as adminStore from "../admin/store.ts";
import type { Flow, Step } from "../operation/operation.ts";
import * as organizationStore from "../organization/store.ts";
import { type CollectionIdentity, dropCollection, identify } from "../tenant/storage.ts";
import { organizationMissing } from "./failures.ts";

type Progress = { collection: string; storage: CollectionIdentity };
type RemoveStep = Step<Record<string, never>, Progress>;

/**
 * Removes an organization and all that it has. Hiding it is the switch; its record goes last, so that its name is free
 * only when nothing is left under it.
 */
const hide: RemoveStep = async ({ db }, { organization_id }) =>
  (await organizationStore.startDeleting(db, organization_id)) ? { go: "locate" } : { failed: organizationMissing };

/** Notes which collection it is, so that a drop that arrives late can't hit the next one of that name. */
const locate: RemoveStep = async ({ db }, { organization_id }) => {
  const placement = (await organizationStore.findById(db, organization_id))?.placement;
  const storage = placement ? await identify(db, placement.collection) : null;
  return placement && storage
    ? { go: "storage", progress: { collection: placement.collection, storage } }
    : { go: "admins" };
};

const dropStorage: RemoveStep = async ({ db, assertHeld }, { progress }) => {
  const { collection, storage } = progress as Progress;
  assertHeld();
  await dropCollection(db, collection, storage);
  return { go: "admins" };
};

const removeAdmins: RemoveStep = async ({ db }, { organization_id }) => {
  await adminStore.removeAll(db, organization_id);
  return { go: "organization" };
};

const removeRecord: RemoveStep = async ({ db }, { organization_id }) => {
  await organizationStore.removeRecord(db, organization_id);
  return { done: true };
};

export const remove: Flow = {
  first: "hide",
  steps: { hide, locate, storage: dropStorage, admins: removeAdmins, organization: removeRecord },
};
