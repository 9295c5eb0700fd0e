import { beforeAll, describe, expect, test } from "bun:test";
import { depsOfCommand } from "../support/command-deps.ts";
import { createKey, type NewKey } from "../../src/operator/create-key.ts";
import { hashKey, makeKeyText } from "../../src/operator/key-text.ts";
import { createKnownKeys } from "../../src/operator/known-keys.ts";
import { revokeKey } from "../../src/operator/revoke-key.ts";
import { findById, noteUse } from "../../src/operator/store.ts";
import { until } from "../support/crash.ts";
import { useService } from "../support/service.ts";

const service = useService({ TRUSTED_PROXIES: "1" });
const deps = () => depsOfCommand(service.db);
const make = (wanted: Partial<NewKey> = {}) =>
  createKey(deps(), { name: "a key", scopes: ["organizations:read"], ...wanted });
const ask = (token: string, headers: Record<string, string> = {}) =>
  service.send("GET", "/platform/operations", { token, headers });
const from = (address: string) => ({ "x-forwarded-for": address });

describe("an operator's key", () => {
  test("an operator's key is stored as a hash, never itself", async () => {
    const { key, record } = await make({ name: "hashed" });
    const stored = await service.db.collection<any>("operator_keys").findOne({ _id: record._id });
    expect(stored).toMatchObject({ name: "hashed", hash: hashKey(key), revoked_at: null });
    expect(JSON.stringify(stored)).not.toContain(key.slice(18, 50));
  });

  test("that is unknown, altered, expired or revoked is refused with one and the same answer", async () => {
    const made = await make();
    const expired = await make({ expires_at: new Date(Date.now() - 1) });
    const revoked = await make();
    await revokeKey(deps(), revoked.record._id);
    // Right but for the secret: another key's, under the id of one that is there.
    const { key: other } = makeKeyText();
    await service.db.collection<any>("operator_keys").insertOne({ ...made.record, _id: other.slice(9, 17) });
    const answers = await Promise.all(
      ["x", makeKeyText().key, `${made.key.slice(0, -1)}x`, other, expired.key, revoked.key].map((key) => ask(key)),
    );
    expect((await ask(made.key)).status).toBe(200);
    for (const { status, body, headers } of answers) {
      const { request_id: _, ...rest } = body;
      expect({ status, rest, challenge: headers.get("www-authenticate") }).toEqual({
        status: 401,
        rest: {
          type: "urn:croupier:problem:operator_key_invalid",
          title: "The operator key is not valid",
          status: 401,
          detail: "The operator key is not valid.",
          instance: "/platform/operations",
        },
        challenge: 'Bearer error="invalid_token"',
      });
    }
  });

  test("an operator's key ends when its time is over, also in a process that remembers it", async () => {
    const { key } = await make({ expires_at: new Date(Date.now() + 300) });
    expect((await ask(key)).status).toBe(200);
    await until("it to expire", async () => (await ask(key)).status === 401, 2_000);
  });

  test("a revoked operator's key is refused within a second by a process that has just used it", async () => {
    for (let n = 0; n < 5; n++) {
      const { key, record } = await make();
      expect((await ask(key)).status).toBe(200);
      await Bun.sleep(Math.random() * 300);
      expect((await ask(key)).status).toBe(200);
      await revokeKey(deps(), record._id);
      const revokedMs = performance.now();
      await until("it to be refused", async () => (await ask(key)).status === 401, 2_000);
      expect(performance.now() - revokedMs).toBeLessThan(1_000);
    }
  });

  test("may be revoked twice, by its id or its prefix, and stays revoked since the first time", async () => {
    const { record } = await make();
    const first = await revokeKey(deps(), record._id);
    const second = await revokeKey(deps(), `crp_live_${record._id}`);
    expect(second.revoked_at).toEqual(first.revoked_at!);
    await expect(revokeKey(deps(), "00000000")).rejects.toThrow("No such key");
  });

  test("costs one look-up for all who use it at once, and none while it is remembered", async () => {
    const { record } = await make();
    let asked = 0;
    const find = (id: string) => (asked++, findById(service.db, id));
    const known = createKnownKeys({
      store: { find, noteUse: async () => {} },
      ...deps(),
      log: console,
      recentMs: 60_000,
    });
    for (let round = 0; round < 3; round++) await Promise.all(Array.from({ length: 20 }, () => known.find(record._id)));
    expect(asked).toBe(1);
  });

  test("keeps when it was used last, at most once a minute, and not for who is refused", async () => {
    const { key, record } = await make({ allow: ["192.0.2.0/24"] });
    const usedAt = async () => (await findById(service.db, record._id))!.last_used_at?.getTime() ?? null;
    expect((await ask(key, from("198.51.100.1"))).status).toBe(403);
    expect(await usedAt()).toBeNull();
    const beganMs = Date.now();
    expect((await ask(key, from("192.0.2.1"))).status).toBe(200);
    await until("it to be noted", async () => (await usedAt()) !== null, 5_000);
    const first = await usedAt();
    expect(first).toBeGreaterThanOrEqual(beganMs);
    // What another process would write.
    const at = new Date();
    await noteUse(service.db, record._id, at, new Date(at.getTime() - 60_000));
    expect(await usedAt()).toBe(first);
    const later = new Date(first! + 60_001);
    await noteUse(service.db, record._id, later, new Date(later.getTime() - 60_000));
    expect(await usedAt()).toBe(later.getTime());
  });
});

describe("an operator's key with an allow-list", () => {
  let key: string;
  beforeAll(async () => {
    ({ key } = await make({ allow: ["192.0.2.0/24", "2001:db8::/32"] }));
  });
  test.each([
    ["192.0.2.77", 200],
    ["::ffff:192.0.2.77", 200],
    ["2001:db8:1::7", 200],
    ["[2001:db8:1::7]:4711", 200],
    ["192.0.3.1", 403],
    ["2001:db9::1", 403],
    ["unknown", 403],
    // What the caller wrote itself stands further left.
    ["192.0.2.77, 198.51.100.1", 403],
  ])("an operator's key with an allow-list, from %s, answers %i", async (address, status) => {
    const answer = await ask(key, from(address));
    expect(answer.status).toBe(status);
    if (status === 403) expect(answer.body.type).toBe("urn:croupier:problem:address_not_allowed");
  });
  test("tells nobody who hasn't the key of it", async () => {
    expect((await ask(`${key.slice(0, -1)}x`, from("198.51.100.1"))).status).toBe(401);
  });
});
