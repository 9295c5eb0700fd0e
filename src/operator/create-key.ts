import { type AuditDeps, audited } from "../audit/audited.ts";
import type { KeyDocument, Scope } from "./key.ts";
import { hashKey, makeKeyText } from "./key-text.ts";
import * as keyStore from "./store.ts";

export type NewKey = { name: string; scopes: Scope[]; allow?: string[]; expires_at?: Date | null };

/**
 * Makes an operator's key.
 *
 * @param wanted `allow` as `parseCidr` gives it
 * @returns its record, and its text, which is kept nowhere
 */
export async function createKey(
  deps: AuditDeps,
  { name, scopes, allow = [], expires_at = null }: NewKey,
): Promise<{ key: string; record: KeyDocument }> {
  for (;;) {
    const { id, key } = makeKeyText();
    const record: KeyDocument = {
      _id: id,
      name,
      hash: hashKey(key),
      scopes,
      allow,
      created_at: deps.now(),
      expires_at,
      last_used_at: null,
      revoked_at: null,
    };
    // An id that is taken is another key's: then this one isn't made, and nothing is recorded of it.
    if (await keyStore.findById(deps.db, id)) continue;
    const details = { key_id: id, name, scopes: scopes.join(","), ...(allow.length > 0 && { allow: allow.join(",") }) };
    const made = await audited(deps, { act: "key.create", organizationId: null, details }, () =>
      keyStore.insert(deps.db, record),
    );
    if (made) return { key, record };
  }
}
