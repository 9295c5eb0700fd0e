import { describe, expect, test } from "bun:test";
import { ObjectId } from "mongodb";
import { createApp } from "../../src/app.ts";
import { createLogger } from "../../src/log.ts";
import { createRevocations, type RevocationStore } from "../../src/session/revocation/revocations.ts";
import type { Claims } from "../../src/session/token/token.ts";
import * as store from "../../src/session/revocation/revocation-store.ts";
import { until } from "../support/crash.ts";
import { expectProblem } from "../support/problem.ts";
import { readAnswer, useService } from "../support/service.ts";

const service = useService();
const log = createLogger("silent");
const ids = { admin_id: new ObjectId().toHexString(), organization_id: new ObjectId().toHexString() };
const claimsOf = (jti: string): Claims => {
  const iat = Math.floor(Date.now() / 1000);
  return { ...ids, jti, iat, exp: iat + 600, iss: "croupier", aud: "croupier", gen: 0 };
};
const entry = (_id: string) => ({ _id, kind: "token" as const, ...ids, expires_at: new Date(Date.now() + 600_000) });

/** The service's own store, which can be away. */
function breakable() {
  let away = false;
  const pass = async <T>(act: () => Promise<T>): Promise<T> => {
    if (away) throw new Error("away");
    return await act();
  };
  const through: RevocationStore = {
    write: (revocation) => pass(() => store.write(service.db, revocation)),
    async *readSince(newest, seenMs) {
      yield* await pass(async () => store.readSince(service.db, newest, seenMs));
    },
  };
  return { through, setAway: (value: boolean) => void (away = value) };
}

describe("what other processes have ended", () => {
  test("is read at the start, then what is new, and what was written late", async () => {
    await store.write(service.db, entry("before"));
    const revocations = createRevocations({ store: breakable().through, staleMs: 5_000, now: () => new Date(), log });
    expect(revocations.areKnown()).toBe(false);
    await revocations.start();
    expect([revocations.areKnown(), revocations.isEnded(claimsOf("before"))]).toEqual([true, true]);
    await store.write(service.db, entry("after"));
    await until("the new one", async () => revocations.isEnded(claimsOf("after")), 2_000);
    // Stamped before the newest that is known, and seen after it.
    const stamp = (await store.revocations(service.db).findOne({ _id: "after" }))!.revoked_at;
    const late = { ...entry("late"), revoked_at: new Date(stamp.getTime() - 5_000) };
    await store.revocations(service.db).insertOne(late);
    await until("the late one", async () => revocations.isEnded(claimsOf("late")), 2_000);
    expect(revocations.isEnded(claimsOf("another"))).toBe(false);
    revocations.stop();
  });

  test("is read whole after a time in which it could not be read", async () => {
    const { through, setAway } = breakable();
    const revocations = createRevocations({ store: through, staleMs: 1_000, now: () => new Date(), log });
    await revocations.start();
    setAway(true);
    await until("it to be unknown", async () => !revocations.areKnown(), 3_000);
    const long = new Date(Date.now() - 3_600_000);
    await store.revocations(service.db).insertOne({ ...entry("meanwhile"), kind: "token", revoked_at: long });
    setAway(false);
    await until("it to be known", async () => revocations.areKnown(), 3_000);
    expect(revocations.isEnded(claimsOf("meanwhile"))).toBe(true);
    revocations.stop();
  });

  test("is not ended here when it can't be told to the others", async () => {
    const { through, setAway } = breakable();
    const revocations = createRevocations({ store: through, staleMs: 1_000, now: () => new Date(), log });
    await revocations.start();
    setAway(true);
    const claims = claimsOf("untold");
    expect(await revocations.end(claims).then(String, String)).toBe("Error: away");
    expect(revocations.isEnded(claims)).toBe(false);
    setAway(false);
    await revocations.end(claims);
    expect(revocations.isEnded(claims)).toBe(true);
    revocations.stop();
  });
});

test("while it isn't known what others have ended, writes are refused and known tokens go on reading", async () => {
  const { through, setAway } = breakable();
  const { deps } = service.running;
  const revocations = createRevocations({ store: through, staleMs: 1_000, now: deps.now, log });
  await revocations.start();
  const app = createApp({ ...deps, revocations });
  const ask = async (method: string, path: string, token: string, body?: object) =>
    readAnswer(
      await app.request(path, {
        method,
        headers: { authorization: `Bearer ${token}`, ...(body && { "content-type": "application/json" }) },
        ...(body && { body: JSON.stringify(body) }),
      }),
    );
  const known = (await service.join()).token;
  const fresh = (await service.join()).token;
  const reads: [string, string, object?][] = [
    ["GET", "/org/documents"],
    ["GET", "/org/documents/a"],
    ["POST", "/org/documents/find", {}],
    ["POST", "/org/documents/count", {}],
    ["POST", "/org/documents/aggregate", { pipeline: [] }],
    ["GET", "/org/indexes"],
    ["GET", "/admin/me"],
    ["GET", "/admin/sessions"],
  ];
  const writes: [string, string, object?][] = [
    ["POST", "/org/documents", { _id: "b" }],
    ["PUT", "/org/documents/a", {}],
    ["PATCH", "/org/documents/a", {}],
    ["DELETE", "/org/documents/a"],
    ["POST", "/org/indexes", { key: { n: 1 } }],
    ["DELETE", "/org/indexes/n_1"],
    ["PUT", "/org/update", { password: "Another-Horse-8" }],
    ["DELETE", "/org/delete"],
    ["POST", "/admin/logout"],
    ["DELETE", "/admin/sessions/0b9f7a3e-3c1d-4d0e-9f5b-6a2c8d7e1f40"],
    ["POST", "/admin/logout-all"],
  ];
  const unknown = { status: 503, type: "revocations_unknown" };
  expect((await ask("POST", "/org/documents", known, { _id: "a" })).status).toBe(201);
  setAway(true);
  await until("it to be unknown", async () => !revocations.areKnown(), 3_000);
  for (const [method, path, body] of reads) {
    expect({ path, status: (await ask(method, path, known, body)).status }).toEqual({ path, status: 200 });
    // Twice: being refused doesn't make it known.
    for (let time = 0; time < 2; time++) expectProblem(await ask(method, path, fresh, body), { ...unknown, path });
    expectProblem(await ask(method, path, known.slice(0, -1), body), { status: 401, type: "token_invalid", path });
  }
  for (const [method, path, body] of writes) expectProblem(await ask(method, path, known, body), { ...unknown, path });
  expect((await ask("GET", "/readiness", known)).status).toBe(503);

  setAway(false);
  await until("it to be known", async () => revocations.areKnown(), 3_000);
  for (const token of [known, fresh]) expect((await ask("POST", "/org/documents", token, {})).status).toBe(201);
  revocations.stop();
});
