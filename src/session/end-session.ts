import type { Filter } from "mongodb";
import type { Deps } from "../deps.ts";
import type { SessionDocument } from "./session.ts";
import * as sessionStore from "./session-store.ts";

export type EndDeps = Pick<Deps, "db" | "now" | "revocations">;

/** So long the process that ends a session has for it before others do. */
const finishMs = 5_000;
const atOnceMax = 20;

/**
 * Ends a session: its refresh token with the first write, its access tokens here when this returns and in every other
 * process within a second. A process that dies in between leaves a note, and `finishEndedSessions` goes on.
 *
 * @param only if it is as this says
 * @returns false when there is no such session
 */
export async function endSession(deps: EndDeps, id: string, only?: Filter<SessionDocument>): Promise<boolean> {
  const session = await sessionStore.end(deps.db, id, deps.now(), only);
  if (session) await finish(deps, session);
  return session !== null;
}

async function finish({ db, revocations }: EndDeps, session: SessionDocument): Promise<void> {
  const { _id, admin_id, organization_id, access_until } = session;
  const whose = { admin_id: admin_id.toHexString(), organization_id: organization_id.toHexString() };
  await revocations.endSession({ sid: _id, ...whose, until: access_until });
  await sessionStore.remove(db, _id);
}

/** Goes on where a process died. One of a worker's chores. */
export async function finishEndedSessions(deps: EndDeps): Promise<void> {
  const before = new Date(deps.now().getTime() - finishMs);
  for (const session of await sessionStore.findEnded(deps.db, before, atOnceMax)) await finish(deps, session);
}
