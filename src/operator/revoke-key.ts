import { type AuditDeps, audited } from "../audit/audited.ts";
import { failure } from "../lib/failure.ts";
import { type KeyDocument, keyPrefix, type OperatorFailure } from "./key.ts";
import { readKeyId } from "./key-text.ts";
import * as keyStore from "./store.ts";

/**
 * Revokes a key: every process refuses it within a second (`known-keys.ts`). It may be called again.
 *
 * @param id with or without `crp_live_` before it; or the whole key, which may be all that its finder has
 * @throws Failure `operator_key_not_found`
 */
export async function revokeKey(deps: AuditDeps, id: string): Promise<KeyDocument> {
  const _id = readKeyId(id) ?? (id.startsWith(keyPrefix) ? id.slice(keyPrefix.length) : id);
  const find = async () => {
    const key = await keyStore.findById(deps.db, _id);
    // What was given isn't said again: it may be a key with a letter too few.
    if (!key)
      throw failure<OperatorFailure>("operator_key_not_found", "No such key; `croupier key list` shows all keys.");
    return key;
  };
  const { name, revoked_at } = await find();
  if (revoked_at === null) {
    const details = { key_id: _id, name };
    await audited(deps, { act: "key.revoke", organizationId: null, details }, () =>
      keyStore.revoke(deps.db, _id, deps.now()),
    );
  }
  return await find();
}
