import * as adminStore from "../admin/store.ts";
import { type AuditDeps, audited } from "../audit/audited.ts";
import type { Deps } from "../deps.ts";
import { endSession, type EndDeps } from "./end-session.ts";
import type { Actor } from "./session.ts";
import * as sessionStore from "./session-store.ts";

/**
 * Ends the token that the request came with, and the session that it is of: its refresh token, and access tokens of before
 * that still hold.
 */
export const signOut = (deps: AuditDeps & EndDeps, { adminId, organizationId, claims }: Actor): Promise<void> =>
  audited(deps, { act: "session.sign_out", organizationId, details: { token_id: claims.jti } }, async () => {
    if (claims.sid !== undefined && (await endSession(deps, claims.sid, { admin_id: adminId }))) return;
    // Of before there were sessions, or of one that is gone.
    await deps.revocations.end(claims);
  });

/** Ends every token and every session of the admin, this one too; a sign-in after it gives one that holds. */
export async function signOutEverywhere(
  deps: AuditDeps & Pick<Deps, "lookUp">,
  { adminId, organizationId }: Actor,
): Promise<void> {
  await audited(deps, { act: "session.sign_out_everywhere", organizationId }, () =>
    adminStore.endTokens(deps.db, adminId),
  );
  deps.lookUp.forgetAdmin(adminId);
  const admin = await adminStore.findById(deps.db, adminId);
  if (admin) await sessionStore.removeOutdated(deps.db, admin);
}
