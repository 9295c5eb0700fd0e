import { sessionHolds } from "../admin/admin.ts";
import * as adminStore from "../admin/store.ts";
import type { Act, Details } from "../audit/audit.ts";
import { type AuditDeps, audited } from "../audit/audited.ts";
import { type About, failure } from "../lib/failure.ts";
import { allowsAddress } from "../organization/organization.ts";
import * as organizationStore from "../organization/store.ts";
import { endSession } from "./end-session.ts";
import { hashRefreshToken, makeRefreshToken } from "./token/refresh-token.ts";
import {
  addressNotAllowed,
  type Caller,
  cleanUserAgent,
  lifeOf,
  type SessionDocument,
  type SessionFailure,
} from "./session.ts";
import * as sessionStore from "./session-store.ts";
import { type Grant, grant, type GrantDeps } from "./start-session.ts";

type RefreshDeps = GrantDeps & AuditDeps;

const invalid = (about?: About) => {
  const detail = "The refresh token is invalid or expired, or its session has ended; sign in again.";
  return failure<SessionFailure>("refresh_token_invalid", detail, about && { about });
};

const whoseOf = ({ admin_id, organization_id }: SessionDocument): About => ({
  who: { kind: "admin", id: admin_id.toHexString() },
  organizationId: organization_id,
});

/**
 * Gives a new access token and a new refresh token for a refresh token, which is used up by it. One that comes a second time
 * was copied, and who has the copy can't be told: the session is ended, for both (RFC 9700, 4.14.2). Two tabs of one browser
 * may do that at once, so for a moment after it was used it only is of no use: nobody gets a token by it, and a thief's copy
 * ends the session when the moment is over, as does a client whose answer was lost.
 *
 * @throws Failure `refresh_token_invalid`, `refresh_token_reused`, `refresh_in_progress`, `address_not_allowed`: then it isn't
 *   used up
 */
export async function refresh(deps: RefreshDeps, refreshToken: string, caller: Caller): Promise<Grant> {
  const { db, now, config } = deps;
  // Before anything is read or written, so that no token outlives what the session says of it.
  const at = now();
  const hashes = hashRefreshToken(refreshToken);
  const session = hashes && (await sessionStore.findByFamily(db, hashes.family));
  if (!hashes || !session || session.refresh_until <= at) throw invalid();
  if (session.token_hash !== hashes.token) return await refuseUsed(deps, session, hashes.token);
  const gen = await generationFor(deps, session, caller.address);

  const next = makeRefreshToken(refreshToken);
  const life = lifeOf(config, session.created_at, at);
  const renewal = {
    token_hash: hashRefreshToken(next)!.token,
    gen,
    last_used_at: at,
    address: caller.address,
    user_agent: cleanUserAgent(caller.userAgent),
    ...life,
  };
  const renewed = await sessionStore.renew(db, session._id, hashes.token, renewal, leewayMsOf(deps));
  if (!renewed) return await refuseUsed(deps, session, hashes.token);
  const whose = { adminId: session.admin_id, organizationId: session.organization_id, gen };
  return await grant(deps, whose, { sid: session._id, refreshToken: next, refreshUntil: life.refresh_until, at });
}

/** Ends a session and records why. @throws Failure `refresh_token_invalid` when it was ended before this, in whichever way */
async function end(
  deps: RefreshDeps,
  { _id, organization_id: organizationId }: SessionDocument,
  act: Act,
  details: Details,
  only?: Parameters<typeof endSession>[2],
): Promise<void> {
  await audited(deps, { act, organizationId, details }, async () => {
    if (!(await endSession(deps, _id, only))) throw invalid();
  });
}

const detailsOf = ({ _id, admin_id }: SessionDocument) => ({ session_id: _id, admin_id: admin_id.toHexString() });

const leewayMsOf = ({ config }: Pick<RefreshDeps, "config">) => config.sessions.refreshLeewaySeconds * 1000;

/** @param token the hash of one that isn't the session's any more */
async function refuseUsed(deps: RefreshDeps, session: SessionDocument, token: string): Promise<never> {
  const leewayMs = leewayMsOf(deps);
  if (leewayMs > 0 && (await sessionStore.wasJustUsed(deps.db, session._id, token, leewayMs))) {
    const detail = "The session has just been renewed with this refresh token; use the tokens from that answer.";
    throw failure<SessionFailure>("refresh_in_progress", detail, { retryAfterSeconds: 1 });
  }
  const details = detailsOf(session);
  await end(deps, session, "session.refresh_reuse", details, { token_hash: { $ne: token } });
  deps.log.warn(
    { ...details, organization_id: session.organization_id },
    "a refresh token was used twice; its session was ended",
  );
  const detail = "The refresh token was used before, so the session was ended; sign in again.";
  throw failure<SessionFailure>("refresh_token_reused", detail);
}

/** The generation of tokens that a session may have now. @throws Failure `refresh_token_invalid`, the session ended; or as above */
async function generationFor(deps: RefreshDeps, session: SessionDocument, address: string): Promise<number> {
  const [admin, organization] = await Promise.all([
    adminStore.findById(deps.db, session.admin_id),
    organizationStore.findActiveById(deps.db, session.organization_id),
  ]);
  if (admin && organization && sessionHolds(admin, session)) {
    if (!allowsAddress(organization, () => address)) throw addressNotAllowed(address, whoseOf(session));
    return admin.tokens?.generation ?? 0;
  }
  await end(deps, session, "session.end", { ...detailsOf(session), reason: "outdated" });
  throw invalid(whoseOf(session));
}
