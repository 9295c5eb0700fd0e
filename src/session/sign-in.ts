import type { ObjectId } from "mongodb";
import type { AdminDocument } from "../admin/admin.ts";
import * as adminStore from "../admin/store.ts";
import { bcryptRounds } from "../admin/password.ts";
import type { NewEntry, Who } from "../audit/audit.ts";
import { record } from "../audit/audited.ts";
import type { Deps } from "../deps.ts";
import { failure, isFailure } from "../lib/failure.ts";
import type { OrganizationDocument } from "../organization/organization.ts";
import * as organizationStore from "../organization/store.ts";
import { type Caller, type SessionFailure, whyRefused } from "./session.ts";
import { type Grant, type GrantDeps, startSession } from "./start-session.ts";

export type SignedIn = Grant & { admin_id: string; organization_id: string; organization_name: string };

type SignInDeps = GrantDeps & Pick<Deps, "passwords" | "log" | "audit" | "origin">;

/**
 * Signs an admin in. An unknown email takes the same steps and the same time as a known one with a wrong password.
 *
 * @throws Failure `credentials_incorrect`, `passwords_busy`, `audit_unavailable`; only with the right password `organization_suspended`,
 * `address_not_allowed`
 */
export async function signIn(
  deps: SignInDeps,
  input: { email: string; password: string },
  caller: Caller,
): Promise<SignedIn> {
  const { db, passwords } = deps;
  const admin = await adminStore.findByEmail(db, input.email);
  const organization = await organizationStore.findOfAdmin(db, admin);
  const known = admin && organization ? admin : null;
  const matches = await passwords.matches(input.password, known?.password ?? null);
  if (!known || !organization || !matches) {
    deps.audit.note(deps.origin, failed(known, organization), "failure");
    throw failure<SessionFailure>("credentials_incorrect", "Incorrect email or password.");
  }
  const refusal = whyRefused(organization, caller);
  if (refusal) {
    const details = { code: refusal.failure };
    deps.audit.note(deps.origin, { ...failed(known, organization), who: whoIs(known), details }, "refused");
    throw refusal;
  }
  const rounds = bcryptRounds(known.password);
  if (rounds !== null && rounds < passwords.rounds) await renew(deps, known._id, known.password, input.password);

  const whose = { adminId: known._id, organizationId: organization._id, gen: known.tokens?.generation ?? 0 };
  const { sid, grant } = await startSession(deps, whose, caller);
  const details = { session_id: sid };
  // Before the tokens are handed out: nobody is signed in of whom there is no record.
  await record(deps, { act: "session.sign_in", organizationId: organization._id, who: whoIs(known), details });
  return {
    ...grant,
    admin_id: known._id.toHexString(),
    organization_id: organization._id.toHexString(),
    organization_name: organization.organization_name,
  };
}

const whoIs = ({ _id }: AdminDocument): Who => ({ kind: "admin", id: _id.toHexString() });

/** Whose account it was is said in its own organization's record; which email somebody tried that nobody has, nowhere. */
const failed = (admin: AdminDocument | null, organization: OrganizationDocument | null): NewEntry => ({
  act: "session.sign_in",
  organizationId: admin && organization ? organization._id : null,
  ...(admin && { details: { admin_id: admin._id.toHexString() } }),
});

/** A hash of fewer rounds than configured is renewed while the password is at hand. */
async function renew(deps: SignInDeps, adminId: ObjectId, from: string, password: string): Promise<void> {
  try {
    await adminStore.renewPassword(deps.db, adminId, from, await deps.passwords.hash(password));
  } catch (error) {
    // Too busy now: the next sign-in will do.
    if (!isFailure(error)) throw error;
    deps.log.debug({ admin_id: adminId }, "password hash could not be upgraded");
  }
}
