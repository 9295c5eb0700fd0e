import { timingSafeEqual } from "node:crypto";
import type { Deps } from "../deps.ts";
import { bearerOf } from "../lib/net/bearer.ts";
import { failure } from "../lib/failure.ts";
import { isExpired, type Operator, type OperatorFailure, type Scope } from "./key.ts";
import { hashKey, readKeyId } from "./key-text.ts";
import type { KnownKey } from "./known-keys.ts";

type KeyDeps = Pick<Deps, "knownKeys" | "now">;

/**
 * Lets an operator pass who has a key for this. Of a key that can't be used nobody is told whether it was ever one.
 *
 * @param authorization the header of that name, `Bearer` and a key (RFC 6750)
 * @param address where the request comes from, as `normalizeAddress` gives it
 * @param mayLookUp throws when a key that this process has never found is not to be looked up either
 * @throws Failure `operator_key_missing`, `operator_key_invalid`, `address_not_allowed`, `scope_missing`
 */
export async function authenticateOperator(
  deps: KeyDeps,
  authorization: string | undefined,
  scope: Scope,
  address: string,
  mayLookUp: () => Promise<void>,
): Promise<Operator> {
  const text = bearerOf(authorization);
  if (!text) {
    throw failure<OperatorFailure>("operator_key_missing", "Send an operator key: Authorization: Bearer KEY.");
  }
  const key = await findMatching(deps, text, mayLookUp);
  const about = key ? { about: { who: { kind: "operator", id: key._id }, organizationId: null } as const } : {};
  if (!key || key.revoked_at || isExpired(key, deps.now())) {
    throw failure<OperatorFailure>("operator_key_invalid", "The operator key is not valid.", about);
  }
  if (!key.allows(address)) {
    const detail = `The operator key may not be used from this address (${address}).`;
    throw failure<OperatorFailure>("address_not_allowed", detail, about);
  }
  deps.knownKeys.noteUse(key);
  if (!key.scopes.includes(scope)) {
    throw failure<OperatorFailure>("scope_missing", `The key needs the scope ${scope}.`, { scope, ...about });
  }
  return { keyId: key._id, name: key.name };
}

/** The key that this is the text of, whether or not it may still be used. */
async function findMatching(
  { knownKeys }: KeyDeps,
  text: string,
  mayLookUp: () => Promise<void>,
): Promise<KnownKey | null> {
  const id = readKeyId(text);
  if (id !== null && !knownKeys.hasFound(id)) await mayLookUp();
  const key = id === null ? null : await knownKeys.find(id);
  if (!key) return null;
  // Hashes of one length and in constant time, so that nothing can be learned by trying.
  return timingSafeEqual(Buffer.from(hashKey(text)), Buffer.from(key.hash)) ? key : null;
}
