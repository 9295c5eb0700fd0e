import type { ObjectId } from "mongodb";
import { emailKey } from "../admin/admin.ts";
import * as adminStore from "../admin/store.ts";
import type { Flow, Operation, Step } from "../operation/operation.ts";
import * as guarded from "../organization/guarded.ts";
import * as organizationStore from "../organization/store.ts";
import * as sessionStore from "../session/session-store.ts";
import { candidatesMax, collectionCandidate, placeKey, type Placement } from "../tenant/placement.ts";
import { sweepPlace } from "../tenant/retired.ts";
import {
  type CollectionIdentity,
  createPlace,
  dropCollection,
  hasDocuments,
  identify,
  renameCollection,
} from "../tenant/storage.ts";
import { claimEmail, claimName } from "./claim.ts";
import { emailTaken, nameTaken, organizationMissing } from "./failures.ts";
import { enter, organizationOf } from "./guard.ts";
import { afterLeases } from "./lease-wait.ts";

export type UpdateInput = {
  admin_id: ObjectId;
  organization_name?: string;
  email?: string;
  /** The `jti` of the token that asked for it, which goes on when the password is changed. */
  acting_token?: string;
  /** Its `gen`. */
  acting_generation?: number;
  /** Its `sid`: the session that goes on. */
  acting_session?: string;
  updated_at: Date;
};
type Progress = {
  from: Placement;
  to: Placement;
  candidate: number;
  /** The collection that is renamed, as the server knows it; null when there was none. */
  source: CollectionIdentity | null;
};
type UpdateStep = Step<UpdateInput, Progress>;

const adminOf = ({ input, lease }: Operation<UpdateInput>) => ({ id: input.admin_id, guard: lease.guard ?? 0 });

/**
 * Changes name, email and password, all or nothing. The email is claimed first, which can be taken back; writing the
 * organization is the switch, because the name's unique index decides there; what follows is only completed. The
 * documents come along last and in their own order: claim the new place, close the gate, rename the collection, change the
 * placement; nothing of this depends on their number.
 */
const reserveEmail: UpdateStep = async (deps, operation) => {
  const { email } = operation.input;
  if (email === undefined) return { go: "organization" };
  const reserve = () => adminStore.reserveEmail(deps.db, adminOf(operation), email);
  const written = await claimEmail(deps, email, reserve);
  if (written === "email_taken") return { failed: emailTaken };
  if (written === "missing") return { failed: organizationMissing };
  return { go: "organization" };
};

const writeOrganization: UpdateStep = async (deps, operation) => {
  const {
    admin_id: _admin,
    acting_token: _token,
    acting_generation: _gen,
    acting_session: _session,
    ...changes
  } = operation.input;
  const write = () => guarded.writeUpdate(deps.db, organizationOf(operation), changes);
  const name = changes.organization_name;
  const written = await (name === undefined ? write() : claimName(deps, name, write));
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
  const changes = {
    ...(input.email !== undefined && { email: input.email, email_keys: [emailKey(input.email)] }),
    updated_at: input.updated_at,
  };
  if (secret?.password_hash === undefined) await adminStore.writeChanges(db, adminOf(operation), changes);
  else {
    const withPassword = { ...changes, password: String(secret.password_hash) };
    const kept = { kept: input.acting_token ?? null, keptSession: input.acting_session ?? null };
    const gen = input.acting_generation ?? 0;
    await adminStore.writePassword(db, adminOf(operation), withPassword, { ...kept, gen, by: operation._id });
    const admin = await adminStore.findById(db, input.admin_id);
    if (admin) await sessionStore.removeOutdated(db, admin);
  }
  if (input.organization_name === undefined) return { done: true };
  await adminStore.writeOrganizationName(db, organizationOf(operation), input.organization_name);
  return { go: "place" };
};

/** Claims the first free place of the new name. It isn't free while a collection of nobody's has documents there. */
const reservePlace: UpdateStep = async ({ db }, operation) => {
  const { input, progress } = operation;
  const from = progress.from ?? (await organizationStore.findById(db, operation.organization_id))?.placement;
  // No place is known, so nothing can be brought along; or it isn't named after the organization.
  if (!from || !input.organization_name || from.tier !== "professional") return { done: true };
  for (let candidate = progress.candidate ?? 1; candidate <= candidatesMax; candidate++) {
    const collection = collectionCandidate(input.organization_name, candidate);
    // The best place that there is, is the one that it has.
    if (collection === from.collection) return { go: "open" };
    const to = { ...from, collection };
    if (await hasDocuments(db, to)) continue;
    const written = await guarded.reservePlace(db, organizationOf(operation), placeKey(to));
    if (written === "place_taken") continue;
    if (written === "missing") return { failed: organizationMissing };
    return { go: "close", progress: { from, to, candidate, source: await identify(db, from) } };
  }
  // The data stays where it is, which connection_details says.
  return { go: "open" };
};

/** Closes the gate: once every lease has run out nobody writes to the collection's old name, which would make it again. */
const closeGate: UpdateStep = async ({ db, presence }, operation) => {
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
const seal: UpdateStep = async ({ db }, operation) => {
  const sealed = { operation_id: operation._id, phase: "sealed" as const };
  const written = await guarded.enterPhase(db, organizationOf(operation), sealed);
  return written === "written" ? { go: "rename" } : { failed: organizationMissing };
};

const sameCollection = (a: CollectionIdentity | null, b: CollectionIdentity | null) =>
  a?.uuid != null && a.uuid === b?.uuid;

const renameStorage: UpdateStep = async ({ db, assertHeld }, { progress }) => {
  const { from, to, source, candidate } = progress as Progress;
  assertHeld();
  const outcome = source ? await renameCollection(db, from, to.collection, source) : "source_missing";
  if (outcome === "renamed") return { go: "placement" };
  const target = await identify(db, to);
  // This step's own first try, or nothing there to rename.
  if (outcome === "source_missing") {
    if (!source || !target) await createPlace(db, to);
    return { go: "placement" };
  }
  if (sameCollection(source, target)) return { go: "placement" };
  // The place is claimed, so what stands there empty is a leftover; with documents it is somebody's: try the next name.
  if (target && !(await hasDocuments(db, to))) {
    await dropCollection(db, to, target);
    return { go: "rename" };
  }
  return { go: "place", progress: { candidate: candidate + 1 } };
};

/** The cutover, which opens the gate; what arrived late under the old name goes before another can have it. */
const writePlacement: UpdateStep = async (deps, operation) => {
  const { db } = deps;
  const { from, to } = operation.progress as Progress;
  const owner = organizationOf(operation);
  const { placement } = await organizationStore.getById(db, operation.organization_id);
  if (placement && placeKey(placement) === placeKey(from)) {
    const written = await guarded.cutOver(db, owner, operation._id, placement, { ...placement, ...to });
    if (written !== "written") return { go: "open" };
  }
  await sweepPlace(db, from, deps);
  await guarded.releasePlaces(db, owner);
  return { done: true };
};

const openGate: UpdateStep = async ({ db }, operation) => {
  await guarded.leaveMove(db, organizationOf(operation), operation._id);
  await guarded.releasePlaces(db, organizationOf(operation));
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
    close: closeGate,
    seal,
    rename: renameStorage,
    placement: writePlacement,
    open: openGate,
  },
};
