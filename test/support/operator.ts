import { beforeAll } from "bun:test";
import type { Db } from "mongodb";
import { depsOfCommand } from "./command-deps.ts";
import { createKey } from "../../src/operator/create-key.ts";
import { type Scope, scopes as allScopes } from "../../src/operator/key.ts";
import * as keyStore from "../../src/operator/store.ts";
import type { Service } from "./service.ts";

/** Makes an operator's key, as `croupier key create` does. */
export const makeOperatorKey = async (db: Db, scopes: readonly Scope[] = allScopes): Promise<string> =>
  (await createKey(depsOfCommand(db), { name: "of the tests", scopes: [...scopes] })).key;

/** A key with all scopes for the tests of a file. That it is used is not noted, so that nothing changes by it. */
export function useOperatorKey(service: Service): () => string {
  let made = "";
  beforeAll(async () => {
    const { key, record } = await createKey(depsOfCommand(service.db), { name: "of a file", scopes: [...allScopes] });
    const later = new Date(Date.now() + 86_400_000);
    await keyStore.noteUse(service.db, record._id, later, later);
    made = key;
  });
  return () => made;
}
