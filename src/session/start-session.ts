import { randomUUID } from "node:crypto";
import type { ObjectId } from "mongodb";
import { type AuditDeps, audited } from "../audit/audited.ts";
import type { Deps } from "../deps.ts";
import { failure, isFailure } from "../lib/failure.ts";
import { endSession, type EndDeps } from "./end-session.ts";
import { hashRefreshToken, makeRefreshToken } from "./token/refresh-token.ts";
import { type Caller, cleanUserAgent, lifeOf, type SessionFailure, sessionsMax } from "./session.ts";
import * as sessionStore from "./session-store.ts";

/** What a client gets by signing in or renewing (RFC 6749, 5.1). */
export type Grant = {
  access_token: string;
  token_type: "bearer";
  /** Of the access token, in seconds. */
  expires_in: number;
  /** Good for one `POST /admin/refresh`. */
  refresh_token: string;
  /** Of the refresh token, in seconds. */
  refresh_expires_in: number;
};

export type GrantDeps = EndDeps & Pick<Deps, "config" | "tokens">;
type StartDeps = GrantDeps & AuditDeps;
type Whose = { adminId: ObjectId; organizationId: ObjectId; gen: number };

/** How many a sign-in ends that are too many: it adds one. */
const endedAtOnceMax = 5;

/** The tokens of a session that has just been written, of the time that was written with it. */
export async function grant(
  { tokens }: Pick<Deps, "tokens">,
  { adminId, organizationId, gen }: Whose,
  session: { sid: string; refreshToken: string; refreshUntil: Date; at: Date },
): Promise<Grant> {
  const whose = { admin_id: adminId.toHexString(), organization_id: organizationId.toHexString(), gen };
  const { token, expiresInSeconds } = await tokens.issue({ ...whose, sid: session.sid }, session.at);
  return {
    access_token: token,
    token_type: "bearer",
    expires_in: expiresInSeconds,
    refresh_token: session.refreshToken,
    refresh_expires_in: Math.floor((session.refreshUntil.getTime() - session.at.getTime()) / 1000),
  };
}

/** Ends a session that is one too many, on record as an act of the admin who signs in. */
async function endBeyond(deps: StartDeps, { adminId, organizationId }: Whose, id: string): Promise<void> {
  const details = { session_id: id, reason: "sessions_max" };
  const who = { kind: "admin", id: adminId.toHexString() } as const;
  try {
    await audited(deps, { act: "session.end", organizationId, who, details }, async () => {
      if (!(await endSession(deps, id))) throw failure<SessionFailure>("session_not_found", "It has been ended.");
    });
  } catch (error) {
    // Another sign-in at the same time was first.
    if (!(isFailure(error) && error.failure === "session_not_found")) throw error;
  }
}

/**
 * Begins a session of an admin whose password was right.
 *
 * @param whose `gen` is that of the record whose password was checked: when the password was changed meanwhile, so was
 *   this, and neither the tokens nor the session hold for anything
 */
export async function startSession(
  deps: StartDeps,
  whose: Whose,
  caller: Caller,
): Promise<{ sid: string; grant: Grant }> {
  const { db, now, config } = deps;
  const at = now();
  const sid = randomUUID();
  const refreshToken = makeRefreshToken();
  const hashes = hashRefreshToken(refreshToken)!;
  const life = lifeOf(config, at, at);
  await sessionStore.insert(db, {
    _id: sid,
    admin_id: whose.adminId,
    organization_id: whose.organizationId,
    gen: whose.gen,
    token_hash: hashes.token,
    family_hash: hashes.family,
    created_at: at,
    last_used_at: at,
    address: caller.address,
    user_agent: cleanUserAgent(caller.userAgent),
    ...life,
  });
  for (const { _id } of await sessionStore.findBeyond(db, whose.adminId, sessionsMax, endedAtOnceMax)) {
    await endBeyond(deps, whose, _id);
  }
  return { sid, grant: await grant(deps, whose, { sid, refreshToken, refreshUntil: life.refresh_until, at }) };
}
