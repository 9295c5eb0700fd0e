import { ObjectId } from "mongodb";
import { holdsFor } from "../admin/admin.ts";
import type { Deps } from "../deps.ts";
import { bearerOf } from "../lib/net/bearer.ts";
import { failure } from "../lib/failure.ts";
import { allowsAddress } from "../organization/organization.ts";
import {
  type Actor,
  addressNotAllowed,
  type Intent,
  type SessionFailure,
  type SignedIn,
  type TokenReason,
} from "./session.ts";

const details: Record<TokenReason, string> = {
  expired: "The access token has expired; renew it with POST /admin/refresh, or sign in again.",
  ended: "The access token is no longer valid; sign in again.",
};
const noLonger = (reason: TokenReason) =>
  failure<SessionFailure>("token_invalid", details[reason], { members: { reason } });

type TokenDeps = Pick<Deps, "lookUp" | "tokens" | "revocations">;

/**
 * Says who sends a request. A token holds only as long as its admin and its organization are there and neither it nor all of
 * the admin's were ended; both are looked up by id, so it can't come to mean another organization that took the name.
 *
 * @param authorization the header of that name, `Bearer` and a token (RFC 6750)
 * @param addressOf says where the request comes from, as `normalizeAddress` gives it
 * @throws Failure `token_missing`, `token_invalid`, `revocations_unknown`, `address_not_allowed`
 */
export async function authenticate(
  deps: TokenDeps,
  authorization: string | undefined,
  intent: Intent,
  addressOf: () => string,
): Promise<SignedIn> {
  const { lookUp } = deps;
  const actor = await readActor(deps, authorization, intent);
  const [admin, organization] = await Promise.all([
    lookUp.adminById(actor.adminId),
    lookUp.organizationById(actor.organizationId),
  ]);
  if (!organization || !admin || !holdsFor(admin, actor.claims)) throw noLonger("ended");
  if (!allowsAddress(organization, addressOf)) throw addressNotAllowed(addressOf());
  return { actor, admin, organization };
}

async function readActor(
  { tokens, revocations }: Pick<Deps, "tokens" | "revocations">,
  authorization: string | undefined,
  intent: Intent,
): Promise<Actor> {
  const token = bearerOf(authorization);
  if (!token) throw failure<SessionFailure>("token_missing", "Send an access token: Authorization: Bearer TOKEN.");
  const areKnown = revocations.areKnown();
  // One that is seen for the first time while it isn't known which were ended doesn't become known by that.
  const isKnown = tokens.knows(token);
  const claims = await tokens.read(token, areKnown);
  if (claims === "expired") throw noLonger("expired");
  if (!claims)
    throw failure<SessionFailure>("token_invalid", "This is not a valid access token of this service; sign in.");
  if (revocations.isEnded(claims)) throw noLonger("ended");
  if (!areKnown && (intent === "write" || !isKnown)) {
    const detail = "Whether this access token was revoked can't be checked at the moment; try again shortly.";
    throw failure<SessionFailure>("revocations_unknown", detail, { retryAfterSeconds: 1 });
  }
  return { adminId: new ObjectId(claims.admin_id), organizationId: new ObjectId(claims.organization_id), claims };
}

/**
 * Says who sends a request, from what this process has read within the last lease: for requests of which there are many.
 * Whether the organization is there, and from where it may be used, the lease of its placement says.
 *
 * @throws Failure `token_missing`, `token_invalid`, `revocations_unknown`, `address_not_allowed`
 */
export async function authenticateOften(
  deps: TokenDeps & Pick<Deps, "leases">,
  authorization: string | undefined,
  intent: Intent,
  addressOf: () => string,
): Promise<Actor> {
  const { lookUp, leases } = deps;
  const actor = await readActor(deps, authorization, intent);
  const [admin, lease] = await Promise.all([
    lookUp.recentAdminById(actor.adminId),
    leases.acquire(actor.organizationId),
  ]);
  if (!lease || !holdsFor(admin, actor.claims)) throw noLonger("ended");
  if (lease.allows && !lease.allows(addressOf())) throw addressNotAllowed(addressOf());
  return actor;
}
