import { sessionHolds } from "../admin/admin.ts";
import { type AuditDeps, audited } from "../audit/audited.ts";
import type { Deps } from "../deps.ts";
import { failure } from "../lib/failure.ts";
import { endSession, type EndDeps } from "./end-session.ts";
import { type Actor, type SessionFailure, sessionsMax, type SessionView, viewSession } from "./session.ts";
import * as sessionStore from "./session-store.ts";

/** Lists where an admin is signed in, the latest used first; never more than `sessionsMax`. */
export async function listSessions(
  { db, lookUp, now }: Pick<Deps, "db" | "lookUp" | "now">,
  { adminId, claims }: Actor,
): Promise<SessionView[]> {
  const [admin, sessions] = await Promise.all([
    lookUp.adminById(adminId),
    sessionStore.listByAdmin(db, adminId, now(), sessionsMax),
  ]);
  return sessions
    .filter((session) => admin && sessionHolds(admin, session))
    .map((session) => viewSession(session, claims.sid));
}

/** Ends one of the admin's own sessions. @throws Failure `session_not_found`, also for somebody else's */
export const endOwnSession = (
  deps: AuditDeps & EndDeps,
  { adminId, organizationId }: Actor,
  id: string,
): Promise<void> =>
  audited(deps, { act: "session.end", organizationId, details: { session_id: id } }, async () => {
    if (await endSession(deps, id, { admin_id: adminId })) return;
    throw failure<SessionFailure>("session_not_found", "No session of yours has this id.");
  });
