import type { ObjectId } from "mongodb";
import { emailKeys, wasRecoveredSince } from "../../admin/admin.ts";
import * as adminStore from "../../admin/store.ts";
import type { Flow, Operation, Step, StepDeps } from "../../operation/operation.ts";
import * as guarded from "../../organization/guarded.ts";
import * as organizationStore from "../../organization/store.ts";
import * as sessionStore from "../../session/session-store.ts";
import { askedOf, namesBefore } from "./asked.ts";
import { claimEmail, claimName } from "./claim.ts";
import { emailTaken, nameTaken, organizationMissing, tokenEnded } from "../failures.ts";
import { enter, organizationOf } from "../guard.ts";
import { removeRenamed, rename, type UpdateProgress } from "./rename.ts";

export type UpdateInput = {
  admin_id: ObjectId;
  /** The `jti` of the token that asked for it, which goes on when the password is changed. */
  acting_token?: string;
  /** Its `gen`. */
  acting_generation?: number;
  /** Its `sid`: the session that goes on. */
  acting_session?: string;
  updated_at: Date;
};
export type UpdateSecret = { organization_name?: string; email?: string; password_hash?: string };
type UpdateStep = Step<UpdateInput, UpdateProgress>;

const changesOf = (operation: Pick<Operation<UpdateInput>, "input" | "secret">) =>
  askedOf<UpdateInput, UpdateSecret>(operation);
const generationOf = ({ input }: Operation<UpdateInput>) => input.acting_generation ?? 0;
const adminOf = ({ input, lease }: Operation<UpdateInput>) => ({ id: input.admin_id, guard: lease.guard ?? 0 });

/**
 * Changes name, email and password, all or nothing. The email is claimed first, which can be taken back; writing the
 * organization is the switch, because the name's unique index decides there; what follows is only completed, but for a
 * password that was recovered since. The documents come along last (`rename.ts`).
 */
const reserveEmail: UpdateStep = async (deps, operation) => {
  const { email } = changesOf(operation);
  if (email === undefined) return { go: "organization" };
  const reserve = () => adminStore.reserveEmail(deps.db, adminOf(operation), email);
  const written = await claimEmail(deps, email, reserve);
  if (written === "email_taken") return { failed: emailTaken };
  if (written === "missing") return { failed: organizationMissing };
  return { go: "organization" };
};

const writeOrganization: UpdateStep = async (deps, operation) => {
  const admin = await adminStore.findById(deps.db, operation.input.admin_id);
  if (admin && wasRecoveredSince(admin, generationOf(operation))) {
    return (await takeBack(deps, operation)) ? { failed: tokenEnded } : { go: "admin" };
  }
  const { organization_name: name, email, updated_at } = changesOf(operation);
  const changes = {
    ...(name !== undefined && { organization_name: name }),
    ...(email !== undefined && { email }),
    updated_at,
  };
  const write = () => guarded.writeUpdate(deps.db, organizationOf(operation), changes);
  const written = await (name === undefined ? write() : claimName(deps, name, write));
  if (written === "written") return { go: "admin" };
  return { go: written === "name_taken" ? "undo_name_taken" : "undo_missing" };
};

const releaseEmail =
  (failed: typeof nameTaken): UpdateStep =>
  async ({ db }, operation) => {
    const { email } = changesOf(operation);
    if (email !== undefined) await adminStore.releaseEmail(db, adminOf(operation), email);
    return { failed };
  };

/** Gives back what was claimed; false when the organization is written already, as a driver died right after the switch. */
async function takeBack({ db }: Pick<StepDeps, "db">, operation: Operation<UpdateInput>): Promise<boolean> {
  const { organization_name, email, updated_at } = changesOf(operation);
  const written = await organizationStore.findById(db, operation.organization_id);
  const isPast =
    written?.updated_at?.getTime() === updated_at.getTime() &&
    (organization_name === undefined || written.organization_name === organization_name) &&
    (email === undefined || written.email === email);
  if (isPast) return false;
  if (email !== undefined) await adminStore.releaseEmail(db, adminOf(operation), email);
  return true;
}

const cancel: UpdateStep = async (deps, operation) =>
  (await takeBack(deps, operation)) ? { cancelled: true } : { go: "admin" };

const writeAdmin: UpdateStep = async ({ db }, operation) => {
  const { input } = operation;
  const { organization_name, email, password_hash } = changesOf(operation);
  const changes = {
    ...(email !== undefined && { email, email_keys: emailKeys(email) }),
    updated_at: input.updated_at,
  };
  let isKept = false;
  if (password_hash === undefined) await adminStore.writeChanges(db, adminOf(operation), changes);
  else {
    const withPassword = { ...changes, password: password_hash };
    const kept = { kept: input.acting_token ?? null, keptSession: input.acting_session ?? null };
    const gen = generationOf(operation);
    await adminStore.writePassword(db, adminOf(operation), withPassword, { ...kept, gen, by: operation._id });
    const admin = await adminStore.findById(db, input.admin_id);
    if (admin) {
      await sessionStore.removeOutdated(db, admin);
      isKept = wasRecoveredSince(admin, gen) && !admin.tokens?.by?.equals(operation._id);
    }
  }
  if (organization_name !== undefined)
    await adminStore.writeOrganizationName(db, organizationOf(operation), organization_name);
  // Without a new name nothing is done there, but what is recorded on the way is said by `acts`.
  else if (!isKept) return { done: true };
  return { go: "place", progress: { ...(isKept && { password_kept: true }) } };
};

export const update: Flow<UpdateInput, UpdateProgress> = {
  first: "email",
  acts(operation) {
    const { organization_name, email, password_hash } = changesOf(operation);
    const details = { organization_name: String(organization_name) };
    return [
      ...(organization_name === undefined ? [] : [{ act: "organization.rename" as const, details }]),
      ...(email === undefined ? [] : [{ act: "admin.email" as const }]),
      ...(password_hash === undefined || operation.progress.password_kept ? [] : [{ act: "admin.password" as const }]),
    ];
  },
  view: ({ progress: { from, to } }) => ({ from: from?.tier, to: to?.tier }),
  places: ({ from, to }) => [from, to].filter((place) => place !== undefined),
  removeLeft: removeRenamed,
  temporary: namesBefore,
  enter,
  steps: {
    email: reserveEmail,
    organization: writeOrganization,
    undo_name_taken: releaseEmail(nameTaken),
    undo_missing: releaseEmail(organizationMissing),
    undo_cancelled: cancel,
    admin: writeAdmin,
    ...rename,
  },
  undo: { email: "undo_cancelled", organization: "undo_cancelled" },
  gated: ["close", "seal", "rename", "placement", "open"],
};
