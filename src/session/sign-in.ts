import { ObjectId } from "mongodb";
import * as adminStore from "../admin/store.ts";
import { bcryptRounds } from "../admin/password.ts";
import type { Deps } from "../deps.ts";
import { failure, isFailure } from "../lib/failure.ts";
import * as organizationStore from "../organization/store.ts";
import type { SessionFailure } from "./session.ts";

export type SignedIn = {
  access_token: string;
  token_type: "bearer";
  expires_in: number;
  admin_id: string;
  organization_id: string;
  organization_name: string;
};

type SignInDeps = Pick<Deps, "db" | "passwords" | "tokens" | "log">;

/**
 * Signs an admin in. An unknown email takes the same steps and the same time as a known one with a wrong password.
 *
 * @throws Failure `credentials_incorrect`, `passwords_busy`
 */
export async function signIn(deps: SignInDeps, input: { email: string; password: string }): Promise<SignedIn> {
  const { db, passwords, tokens } = deps;
  const admin = await adminStore.findByEmail(db, input.email);
  const organizationId = admin && ObjectId.isValid(admin.organization_id) ? admin.organization_id : undefined;
  const organization = await organizationStore.findActiveById(db, new ObjectId(organizationId));
  const known = admin && organization ? admin : null;
  const matches = await passwords.matches(input.password, known?.password ?? null);
  if (!known || !organization || !matches) {
    throw failure<SessionFailure>("credentials_incorrect", "Incorrect email or password.");
  }
  const rounds = bcryptRounds(known.password);
  if (rounds !== null && rounds < passwords.rounds) await renew(deps, known._id, known.password, input.password);

  const whose = { admin_id: known._id.toHexString(), organization_id: organization._id.toHexString() };
  // That of the record whose password was checked: when the password was changed meanwhile, so was this, and the token holds
  // for nothing.
  const { token, expiresInSeconds } = await tokens.issue({ ...whose, gen: known.tokens?.generation ?? 0 });
  return {
    access_token: token,
    token_type: "bearer",
    expires_in: expiresInSeconds,
    ...whose,
    organization_name: organization.organization_name,
  };
}

/** A hash of fewer rounds than configured is renewed while the password is at hand. */
async function renew(deps: SignInDeps, adminId: ObjectId, from: string, password: string): Promise<void> {
  try {
    await adminStore.renewPassword(deps.db, adminId, from, await deps.passwords.hash(password));
  } catch (error) {
    // Too busy now: the next sign-in will do.
    if (!isFailure(error)) throw error;
    deps.log.debug({ admin_id: adminId }, "password hash not renewed");
  }
}
