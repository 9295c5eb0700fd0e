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
  const token = /^Bearer +([A-Za-z0-9_.~+/=-]+) *$/i.exec(authorization ?? "")?.[1];
  if (!token) throw failure<SessionFailure>("token_missing", "Send an access token: Authorization: Bearer TOKEN.");
  const claims = await tokens.read(token);
  if (!claims) throw invalid();
  const actor = { adminId: new ObjectId(claims.admin_id), organizationId: new ObjectId(claims.organization_id) };
  const [admin, organization] = await Promise.all([
    lookUp.adminById(actor.adminId),
    lookUp.organizationById(actor.organizationId),
  ]);
  if (!organization || admin?.organization_id !== claims.organization_id) throw invalid();
  return actor;
}
