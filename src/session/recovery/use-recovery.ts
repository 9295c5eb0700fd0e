import * as recoveryStore from "../../admin/recovery-store.ts";
import { type AuditDeps, audited } from "../../audit/audited.ts";
import type { Deps } from "../../deps.ts";
import { failure } from "../../lib/failure.ts";
import * as organizationStore from "../../organization/store.ts";
import { type Caller, type SessionFailure, whyRefused } from "../session.ts";
import * as sessionStore from "../session-store.ts";
import { hashRecoveryToken } from "../token/recovery-token.ts";

const invalid = () =>
  failure<SessionFailure>(
    "recovery_token_invalid",
    "The recovery token is invalid, already used or expired; ask for a new one.",
  );

/**
 * Sets a new password by a token that an operator has made, which is used up by it, and ends all sessions of the admin. Of a
 * suspended organization, and from an address that it doesn't allow, it is refused and not used up.
 *
 * @returns the email that the admin signs in with
 * @throws Failure `recovery_token_invalid`, `organization_suspended`, `address_not_allowed`, `passwords_busy`
 */
export async function useRecovery(
  deps: AuditDeps & Pick<Deps, "passwords" | "lookUp">,
  input: { token: string; password: string },
  caller: Caller,
): Promise<string> {
  const { db } = deps;
  const hash = hashRecoveryToken(input.token);
  const admin = hash && (await recoveryStore.findByRecovery(db, hash));
  const organization = admin && (await organizationStore.findOfAdmin(db, admin));
  if (!hash || !admin || !organization) throw invalid();
  const organizationId = organization._id;
  const who = { kind: "admin", id: admin._id.toHexString() } as const;
  const refusal = whyRefused(organization, caller, { who, organizationId });
  if (refusal) throw refusal;
  // Before the one write, as it takes a while: of two with one token both may get here.
  const password = await deps.passwords.hash(input.password);
  const recovered = await audited(deps, { act: "recovery.use", organizationId, who }, async () => {
    const after = await recoveryStore.recover(db, hash, password);
    if (!after) throw invalid();
    return after;
  });
  deps.lookUp.forgetAdmin(admin._id);
  await sessionStore.removeOutdated(db, recovered);
  return recovered.email;
}
