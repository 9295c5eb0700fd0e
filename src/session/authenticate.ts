import { createHash, timingSafeEqual } from "node:crypto";
import { ObjectId } from "mongodb";
import type { Deps } from "../deps.ts";
import { failure } from "../lib/failure.ts";
import type { Actor, SessionFailure } from "./session.ts";

const invalid = () =>
  failure<SessionFailure>("token_invalid", "The access token is not valid or no longer valid; sign in again.");

/**
 * Says who sends a request. A token holds only as long as its admin and its organization are there; both are looked up by
 * id, so it can't come to mean another organization that took the name.
 *
 * @param authorization the header of that name, `Bearer` and a token (RFC 6750)
 * @throws Failure `token_missing`, `token_invalid`
 */
export async function authenticate(
  { lookUp, tokens }: Pick<Deps, "lookUp" | "tokens">,
  authorization: string | undefined,
): Promise<Actor> {
  const { claims, actor } = await readActor(tokens, authorization);
  const [admin, organization] = await Promise.all([
    lookUp.adminById(actor.adminId),
    lookUp.organizationById(actor.organizationId),
  ]);
  if (!organization || admin?.organization_id !== claims.organization_id) throw invalid();
  return actor;
}

async function readActor(tokens: Deps["tokens"], authorization: string | undefined) {
  const token = bearerOf(authorization);
  if (!token) throw failure<SessionFailure>("token_missing", "Send an access token: Authorization: Bearer TOKEN.");
  const claims = await tokens.read(token);
  if (!claims) throw invalid();
  const actor = { adminId: new ObjectId(claims.admin_id), organizationId: new ObjectId(claims.organization_id) };
  return { claims, actor };
}

/** The token of an Authorization header (RFC 6750, 2.1). */
const bearerOf = (authorization: string | undefined): string | undefined =>
  /^Bearer +([A-Za-z0-9_.~+/=-]+) *$/i.exec(authorization ?? "")?.[1];

/**
 * Says who sends a request, from what this process has read within the last lease: for requests of which there are many.
 * Whether the organization is there, the lease of its placement says.
 *
 * @throws Failure `token_missing`, `token_invalid`
 */
export async function authenticateOften(
  { lookUp, tokens, leases }: Pick<Deps, "lookUp" | "tokens" | "leases">,
  authorization: string | undefined,
): Promise<Actor> {
  const { claims, actor } = await readActor(tokens, authorization);
  const [admin, lease] = await Promise.all([
    lookUp.recentAdminById(actor.adminId),
    leases.acquire(actor.organizationId),
  ]);
  if (!lease || admin?.organization_id !== claims.organization_id) throw invalid();
  return actor;
}

const digest = (text: string) => createHash("sha256").update(text).digest();

/** Lets an operator pass. @throws Failure `operator_key_missing`, `operator_key_invalid` */
export function authenticateOperator(operatorKey: string | null, authorization: string | undefined): void {
  const key = bearerOf(authorization);
  if (!key) throw failure<SessionFailure>("operator_key_missing", "Send an operator's key: Authorization: Bearer KEY.");
  // Of one length and in constant time, so that nothing can be learned by trying.
  if (operatorKey === null || !timingSafeEqual(digest(key), digest(operatorKey))) {
    throw failure<SessionFailure>("operator_key_invalid", "The operator's key is not valid.");
  }
}
