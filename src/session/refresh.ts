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
  const detail = "The refresh token is invalid or has ended; sign in again.";
  return failure<SessionFailure>("refresh_token_invalid", detail, about && { about });
};

const whoseOf = ({ admin_id, organization_id }: SessionDocument): About => ({
  who: { kind: "admin", id: admin_id.toHexString() },
  organizationId: organization_id,
});

/**
 * Gives a new access token and a new refresh token for a refresh token, which is used up by it. One that comes a second time
 * was copied, and who has the copy can't be told: the session is ended, for both (RFC 9700, 4.14.2). That is so without a
 * moment's grace, in which a thief would be let through too: a client whose answer was lost has to sign in again.
 *
 * @throws Failure `refresh_token_invalid`, `refresh_token_reused`, `address_not_allowed`: then it isn't used up
 */
export async function refresh(deps: RefreshDeps, refreshToken: string, caller: Caller): Promise<Grant> {
  const { db, now, config } = deps;
  // Before anything is read or written, so that no token outlives what the session says of it.
  const at = now();
  const hashes = hashRefreshToken(refreshToken);
  const session = hashes && (await sessionStore.findByFamily(db, hashes.family));
  if (!hashes || !session || session.refresh_until <= at) throw invalid();
  if (session.token_hash !== hashes.token) return await refuseReused(deps, session);
  const gen = await generationFor(deps, session, caller.address);

  const next = makeRefreshToken(refreshToken);
  const life = lifeOf(config, session.created_at, at);
  const renewed = await sessionStore.renew(db, session._id, hashes.token, {
    token_hash: hashRefreshToken(next)!.token,
    gen,
    last_used_at: at,
    address: caller.address,
    user_agent: cleanUserAgent(caller.userAgent),
    ...life,
  });
  if (!renewed) return await refuseReused(deps, session);
  const whose = { adminId: session.admin_id, organizationId: session.organization_id, gen };
  return await grant(deps, whose, { sid: session._id, refreshToken: next, refreshUntil: life.refresh_until, at });
}

/** Ends a session and records why. @throws Failure `refresh_token_invalid` when it was ended before this, in whichever way */
async function end(
  deps: RefreshDeps,
  { _id, organization_id: organizationId }: SessionDocument,
  act: Act,
  details: Details,
): Promise<void> {
  await audited(deps, { act, organizationId, details }, async () => {
    if (!(await endSession(deps, _id))) throw invalid();
  });
}

const detailsOf = ({ _id, admin_id }: SessionDocument) => ({ session_id: _id, admin_id: admin_id.toHexString() });

async function refuseReused(deps: RefreshDeps, session: SessionDocument): Promise<never> {
  const details = detailsOf(session);
  await end(deps, session, "session.refresh_reuse", details);
  deps.log.warn(
    { ...details, organization_id: session.organization_id },
    "a refresh token came twice; its session ended",
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
