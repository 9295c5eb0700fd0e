import type { ObjectId } from "mongodb";
import { emailKey } from "../admin/admin.ts";
import * as adminStore from "../admin/store.ts";
import type { Flow, Operation, Step, StepDeps } from "../operation/operation.ts";
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

const organizationOf = ({ organization_id, lease }: Operation) => ({ id: organization_id, guard: lease.guard ?? 0 });
const adminOf = ({ input, lease }: Operation<UpdateInput>) => ({ id: input.admin_id, guard: lease.guard ?? 0 });

/** From here on a driver that was overtaken writes neither the organization nor its admins. */
async function enter({ db }: StepDeps, { organization_id }: Operation): Promise<number> {
  const guard = await organizationStore.raiseGuard(db, organization_id);
  await adminStore.raiseGuards(db, organization_id, guard);
  return guard;
}

/**
 * Changes name, email and password, all or nothing. The email is claimed first, which can be taken back; writing the
 * organization is the switch, because the name's unique index decides there; what follows is only completed. The
 * documents come along last and in their own order: claim the new place, rename the collection, change the placement.
 */
const reserveEmail: UpdateStep = async ({ db }, operation) => {
  const { input } = operation;
  if (input.email === undefined) return { go: "organization" };
  const written = await adminStore.reserveEmail(db, adminOf(operation), input.email);
  if (written === "email_taken") return { failed: emailTaken };
  if (written === "missing") return { failed: organizationMissing };
  return { go: "organization" };
};

const writeOrganization: UpdateStep = async ({ db }, operation) => {
  const { admin_id: _, ...changes } = operation.input;
  const written = await organizationStore.writeUpdate(db, organizationOf(operation), changes);
  if (written === "written") return { go: "admin" };
  return { go: written === "name_taken" ? "undo_name_taken" : "undo_missing" };
};

const releaseEmail =
  (failed: typeof nameTaken): UpdateStep =>
  async ({ db }, operation) => {
    const { email } = operation.input;
    if (email !== undefined) await adminStore.releaseEmail(db, adminOf(operation), email);
    return { failed };
  };

const writeAdmin: UpdateStep = async ({ db }, operation) => {
  const { input, secret } = operation;
  await adminStore.writeChanges(db, adminOf(operation), {
    ...(input.email !== undefined && { email: input.email, email_keys: [emailKey(input.email)] }),
    ...(secret?.password_hash !== undefined && { password: String(secret.password_hash) }),
    updated_at: input.updated_at,
  });
  if (input.organization_name === undefined) return { done: true };
  await adminStore.writeOrganizationName(db, organizationOf(operation), input.organization_name);
  return { go: "place" };
};

/** Claims the first free place of the new name. It isn't free while a collection of nobody's has documents there. */
const reservePlace: UpdateStep = async ({ db }, operation) => {
  const { input, progress } = operation;
  const from = progress.from ?? (await organizationStore.findById(db, operation.organization_id))?.placement;
  // No place is known: nothing can be brought along.
  if (!from || !input.organization_name) return { done: true };
  for (let candidate = progress.candidate ?? 1; candidate <= candidatesMax; candidate++) {
    const collection = collectionCandidate(input.organization_name, candidate);
    // The best place that there is, is the one that it has.
    if (collection === from.collection) return { done: true };
    if (await hasDocuments(db, collection)) continue;
    const to = { ...from, collection, epoch: from.epoch + 1 };
    const written = await organizationStore.reservePlace(db, organizationOf(operation), placeKey(to));
    if (written === "place_taken") continue;
    if (written === "missing") return { failed: organizationMissing };
    return { go: "rename", progress: { from, to, candidate, source: await identify(db, from.collection) } };
  }
  // The data stays where it is, which connection_details says.
  return { done: true };
};

const sameCollection = (a: CollectionIdentity | null, b: CollectionIdentity | null) =>
  a?.uuid != null && a.uuid === b?.uuid;

const renameStorage: UpdateStep = async ({ db, assertHeld }, { progress }) => {
  const { from, to, source, candidate } = progress as Progress;
  assertHeld();
  const outcome = source ? await renameCollection(db, from.collection, to.collection, source) : "source_missing";
  if (outcome === "renamed") return { go: "placement" };
  const target = await identify(db, to.collection);
  // This step's own first try, or nothing there to rename.
  if (outcome === "source_missing") {
    if (!source || !target) await createCollection(db, to.collection);
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

const writePlacement: UpdateStep = async ({ db }, operation) => {
  await organizationStore.changePlacement(db, organizationOf(operation), (operation.progress as Progress).to);
  return { done: true };
};

export const update: Flow = {
  first: "email",
  enter,
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
