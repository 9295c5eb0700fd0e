import type { ObjectId } from "mongodb";
import { emailKey } from "../admin/admin.ts";
import * as adminStore from "../admin/store.ts";
import type { Flow, Step } from "../operation/operation.ts";
import * as organizationStore from "../organization/store.ts";
import { candidatesMax, collectionCandidate, placeKey, type Placement } from "../tenant/placement.ts";
import {
  type CollectionIdentity,
  createCollection,
  dropCollection,
  hasDocuments,
  identify,
  renameCollection,
} from "../tenant/storage.ts";
import { emailTaken, nameTaken, organizationMissing } from "./failures.ts";

export type UpdateInput = { admin_id: ObjectId; organization_name?: string; email?: string; updated_at: Date };
type Progress = {
  from: Placement;
  to: Placement;
  candidate: number;
  /** The collection that is renamed, as the server knows it; null when there was none. */
  source: CollectionIdentity | null;
};
type UpdateStep = Step<UpdateInput, Progress>;

/**
 * Changes name, email and password, all or nothing. The email is claimed first, which can be taken back; writing the
 * organization is the switch, because the name's unique index decides there; what follows is only completed. The
 * documents come along last and in their own order: claim the new place, rename the collection, change the placement.
 */
const reserveEmail: UpdateStep = async ({ db }, { input }) => {
  if (input.email === undefined) return { go: "organization" };
  const written = await adminStore.reserveEmail(db, input.admin_id, input.email);
  if (written === "email_taken") return { failed: emailTaken };
  if (written === "missing") return { failed: organizationMissing };
  return { go: "organization" };
};

const writeOrganization: UpdateStep = async ({ db }, { organization_id, input }) => {
  const { admin_id: _, ...changes } = input;
  const written = await organizationStore.writeUpdate(db, organization_id, changes);
  if (written === "written") return { go: "admin" };
  return { go: written === "name_taken" ? "undo_name_taken" : "undo_missing" };
};

const releaseEmail =
  (failed: typeof nameTaken): UpdateStep =>
  async ({ db }, { input }) => {
    if (input.email !== undefined) await adminStore.releaseEmail(db, input.admin_id, input.email);
    return { failed };
  };

const writeAdmin: UpdateStep = async ({ db }, { organization_id, input, secret }) => {
  await adminStore.writeChanges(db, input.admin_id, {
    ...(input.email !== undefined && { email: input.email, email_keys: [emailKey(input.email)] }),
    ...(secret?.password_hash !== undefined && { password: String(secret.password_hash) }),
    updated_at: input.updated_at,
  });
  if (input.organization_name === undefined) return { done: true };
  await adminStore.writeOrganizationName(db, organization_id, input.organization_name);
  return { go: "place" };
};

/** Claims the first free place of the new name. It isn't free while a collection of nobody's has documents there. */
const reservePlace: UpdateStep = async ({ db }, { organization_id, input, progress }) => {
  const from = progress.from ?? (await organizationStore.findById(db, organization_id))?.placement;
  // Nothing to bring along: no place is known, or only letters' case changed.
  if (!from || !input.organization_name || from.collection === collectionCandidate(input.organization_name, 1)) {
    return { done: true };
  }
  for (let candidate = progress.candidate ?? 1; candidate <= candidatesMax; candidate++) {
    const collection = collectionCandidate(input.organization_name, candidate);
    if (await hasDocuments(db, collection)) continue;
    const to = { ...from, collection, epoch: from.epoch + 1 };
    const written = await organizationStore.reservePlace(db, organization_id, placeKey(to));
    if (written === "place_taken") continue;
    return { go: "rename", progress: { from, to, candidate, source: await identify(db, from.collection) } };
  }
  // The data stays where it is, which connection_details says.
  return { done: true };
};

const sameCollection = (a: CollectionIdentity | null, b: CollectionIdentity | null) =>
  a?.uuid != null && a.uuid === b?.uuid;

const renameStorage: UpdateStep = async ({ db }, { progress }) => {
  const { from, to, source, candidate } = progress as Progress;
  const outcome = source ? await renameCollection(db, from.collection, to.collection, source) : "source_missing";
  if (outcome === "renamed") return { go: "placement" };
  const target = await identify(db, to.collection);
  // This step's own first try, or nothing there to rename.
  if (outcome === "source_missing") {
    if (!target) await createCollection(db, to.collection);
    return { go: "placement" };
  }
  if (sameCollection(source, target)) return { go: "placement" };
  // The place is claimed, so what stands there empty is a leftover; with documents it is somebody's: try the next name.
  if (target && !(await hasDocuments(db, to.collection))) {
    await dropCollection(db, to.collection, target);
    return { go: "rename" };
  }
  return { go: "place", progress: { candidate: candidate + 1 } };
};

const writePlacement: UpdateStep = async ({ db }, { organization_id, progress }) => {
  const { from, to } = progress as Progress;
  await organizationStore.changePlacement(db, organization_id, from, to);
  return { done: true };
};

export const update: Flow = {
  first: "email",
  steps: {
    email: reserveEmail,
    organization: writeOrganization,
    undo_name_taken: releaseEmail(nameTaken),
    undo_missing: releaseEmail(organizationMissing),
    admin: writeAdmin,
    place: reservePlace,
    rename: renameStorage,
    placement: writePlacement,
  },
};
