import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { MongoClient, type Db } from "mongodb";
import { createAsksPassword } from "../../src/admin/asks-password.ts";
import { createApp } from "../../src/app.ts";
import { auditEntries } from "../../src/audit/store.ts";
import { createKey } from "../../src/operator/create-key.ts";
import { prepare } from "../../src/prepare.ts";
import { type RunningService, startService } from "../../src/serve.ts";
import { createLogger } from "../../src/log.ts";
import { depsOfCommand } from "../support/command-deps.ts";
import { deploymentsOf } from "../support/fleet.ts";
import { legacyPasswords, plantLegacy } from "../support/legacy.ts";
import { expectProblem } from "../support/problem.ts";
import {
  type Answer,
  dropAll,
  freshDatabaseName,
  readAnswer,
  send,
  testConfig,
  useService,
} from "../support/service.ts";
import { refreshAt, sidOf, signInTo } from "../support/session.ts";
import { readClaims } from "../support/token.ts";

setDefaultTimeout(60_000);
const service = useService({
  TRUSTED_PROXIES: "1",
  RATE_LIMIT_SIGN_IN_EMAIL: "5",
  RATE_LIMIT_SIGN_IN_ADDRESS: "40",
  RATE_LIMIT_PASSWORD: "2",
});
let addresses = 0;
/** Everybody has an address, and with it tries, of their own. */
const fromElsewhere = () => ({ "x-forwarded-for": `198.18.${++addresses}.1` });
const join = async () => {
  const who = await service.join();
  return { ...who, headers: fromElsewhere() };
};
type Who = Awaited<ReturnType<typeof join>>;
/** Of a session that was begun six minutes ago. */
const letGrowOld = async (token: string) => {
  const begun = { $set: { created_at: new Date(Date.now() - 6 * 60_000) } };
  await service.db.collection("sessions").updateOne({ _id: sidOf(token) as never }, begun);
};
const joinLongAgo = async () => {
  const who = await join();
  await letGrowOld(who.token);
  return who;
};
const ask = ({ token, headers }: Who, method: string, path: string, body?: object | string) =>
  service.send(method, path, { token, headers, ...(body !== undefined && { body }) });
const update = (who: Who, body: object) => ask(who, "PUT", "/org/update", body);
const remove = (who: Who, body?: object | string) => ask(who, "DELETE", "/org/delete", body);
const isRefused = (answer: Answer, type: string, path: string) => expectProblem(answer, { status: 403, type, path });
const canSignIn = async ({ email, headers }: Who, password: string) =>
  (await service.send("POST", "/admin/login", { body: { email, password }, headers })).status === 200;

describe("with a session of six minutes", () => {
  test("a new email, a new password and the deletion need the password, and a new name doesn't", async () => {
    const who = await joinLongAgo();
    for (const body of [{ email: `x-${who.email}` }, { password: "Better-Horse-8" }]) {
      isRefused(await update(who, body), "current_password_required", "/org/update");
      const both = { ...body, organization_name: `${who.organization_name}-x` };
      isRefused(await update(who, both), "current_password_required", "/org/update");
    }
    for (const body of [undefined, {}, { current_password: null }]) {
      isRefused(await remove(who, body), "current_password_required", "/org/delete");
    }
    expect((await update(who, { organization_name: `${who.organization_name}-y` })).status).toBe(200);
    expect(await canSignIn(who, who.password)).toBe(true);
  });

  test("the right password lets all of it pass, and a wrong one none, not even a new name", async () => {
    const who = await joinLongAgo();
    const wrong = { current_password: "Wrong-Horse-1" };
    isRefused(await update(who, { ...wrong, password: "Better-Horse-8" }), "current_password_incorrect", "/org/update");
    isRefused(
      await update(who, { ...wrong, organization_name: "y" + who.organization_name }),
      "current_password_incorrect",
      "/org/update",
    );
    isRefused(await remove(who, wrong), "current_password_incorrect", "/org/delete");
    const right = { current_password: who.password };
    expect((await update(who, { ...right, password: "Better-Horse-8", email: `x-${who.email}` })).status).toBe(200);
    isRefused(await remove(who, right), "current_password_incorrect", "/org/delete");
    expect((await remove(who, { current_password: "Better-Horse-8" })).status).toBe(204);
  });

  test("renewing the session doesn't make it younger, and signing in does", async () => {
    const who = await join();
    const { access_token, refresh_token } = await signInTo(service, who, who.headers);
    await letGrowOld(access_token);
    const renewed = { ...who, token: (await refreshAt(service, refresh_token)).body.access_token as string };
    expect(readClaims(renewed.token).sid).toBe(sidOf(access_token));
    isRefused(await update(renewed, { password: "Better-Horse-8" }), "current_password_required", "/org/update");
    const fresh = { ...who, token: (await signInTo(service, who, who.headers)).access_token };
    expect((await update(fresh, { password: "Better-Horse-8" })).status).toBe(200);
  });

  test("a wrong password counts as a wrong sign-in, and a right one as none", async () => {
    const who = await joinLongAgo();
    const wrong = { current_password: "Wrong-Horse-1" };
    for (let tries = 0; tries < 3; tries++)
      isRefused(await remove(who, wrong), "current_password_incorrect", "/org/delete");
    expect(await canSignIn(who, "Wrong-Horse-2")).toBe(false);
    isRefused(await remove(who, wrong), "current_password_incorrect", "/org/delete");
    // The five tries of this place are used up, whichever way, for the right password too.
    const spent = await remove(who, { current_password: who.password });
    expectProblem(spent, { status: 429, type: "rate_limited", path: "/org/delete" });
    expect(spent.headers.get("ratelimit")).toContain('"sign-in-email";r=0');
    const signIn = { body: { email: who.email, password: who.password }, headers: who.headers };
    expect((await service.send("POST", "/admin/login", signIn)).status).toBe(429);

    const other = await joinLongAgo();
    for (let times = 0; times < 7; times++) {
      const body = { current_password: other.password, organization_name: `${other.organization_name}-${times}` };
      expect((await update(other, body)).status).toBe(200);
    }
  });

  test("changes that are refused without the password use up nothing of what the admin may change in an hour", async () => {
    const who = await joinLongAgo();
    for (let count = 0; count < 4; count++) {
      isRefused(await update(who, { password: `Thief-Horse-${count}` }), "current_password_required", "/org/update");
    }
    isRefused(
      await update(who, { password: "Thief-Horse-9", current_password: "Wrong-Horse-1" }),
      "current_password_incorrect",
      "/org/update",
    );
    const own = { password: "Better-Horse-8", current_password: who.password };
    expect((await update(who, own)).status).toBe(200);
    const again = { password: "Better-Horse-9", current_password: "Better-Horse-8" };
    expect((await update(who, again)).status).toBe(200);
    expectProblem(await update(who, { ...own, current_password: "Better-Horse-9" }), {
      status: 429,
      type: "rate_limited",
      path: "/org/update",
    });
  });

  test("what is refused is on record, without the password", async () => {
    const who = await joinLongAgo();
    await remove(who);
    await remove(who, { current_password: "Wrong-Horse-1" });
    await service.running.deps.audit.flush();
    const entries = await auditEntries(service.db).find({ chain: who.id, act: "access.refused" }).toArray();
    expect(entries.map(({ details, outcome }) => `${details.code} ${outcome}`).sort()).toEqual([
      "current_password_incorrect refused",
      "current_password_required refused",
    ]);
    expect(JSON.stringify(entries)).not.toContain("Wrong-Horse-1");
  });
});

const chunksOf = (...parts: string[]) =>
  new ReadableStream({
    start(controller) {
      for (const part of parts) controller.enqueue(new TextEncoder().encode(part));
      controller.close();
    },
  });

describe("a deletion's body", () => {
  test.each([
    ["none at all, but said to be JSON", { "content-type": "application/json" }, undefined],
    ["of another type", { "content-type": "text/plain" }, "whatever"],
    ["of no type", {}, undefined],
    ["an empty object", { "content-type": "application/json" }, "{}"],
    ...["", " ", "null", "[]", '["current_password"]', '""', "0", "false", "{", "{}{}", "gone"].map(
      (text) => [`the text '${text}'`, { "content-type": "application/json" }, text] as const,
    ),
    ["bytes that are nothing", { "content-type": "application/json" }, new Uint8Array([0xff, 0xfe, 0, 0xd8])],
    ["chunks without anything", { "content-type": "application/json" }, () => chunksOf()],
    ["chunks of no object", { "content-type": "application/json" }, () => chunksOf("nu", "ll")],
  ] as const)("may be %s, as of clients of before", async (_name, headers, body) => {
    const who = await join();
    const init = {
      method: "DELETE",
      headers: { ...headers, authorization: `Bearer ${who.token}` },
      ...(body !== undefined && { body: typeof body === "function" ? body() : body }),
    };
    expect((await fetch(`${service.url}/org/delete`, init)).status).toBe(204);
  });

  test("is read over just so where the password is due", async () => {
    const who = await joinLongAgo();
    for (const body of ["null", "[]", '""', "{", ""]) {
      isRefused(await remove(who, body), "current_password_required", "/org/delete");
    }
  });

  test("is read where it comes in chunks", async () => {
    const who = await joinLongAgo();
    const headers = { "content-type": "application/json", authorization: `Bearer ${who.token}` };
    const ask = async (password: string) => {
      const body = chunksOf('{"current_', `password":"${password}"}`);
      return (await fetch(`${service.url}/org/delete`, { method: "DELETE", headers, body })).status;
    };
    expect([await ask("Wrong-Horse-1"), await ask(who.password)]).toEqual([403, 204]);
  });
});

describe("where it isn't set", () => {
  const client = new MongoClient(process.env.MONGODB_URL!);
  const opened: Db[] = [];
  const open = () => {
    const db = client.db(freshDatabaseName());
    opened.push(db);
    return db;
  };
  afterAll(async () => {
    for (const db of opened) await dropAll(db);
    await client.close();
  });
  const prepareIt = (db: Db) =>
    prepare({ db, deployments: deploymentsOf(db), config: testConfig(), log: createLogger("silent") });
  const asks = (db: Db, setting: boolean | null = null) => createAsksPassword(db, setting)();

  test("the password is needed in a database that was empty, also when several processes began at once", async () => {
    const db = open();
    await Promise.all([prepareIt(db), prepareIt(db), prepareIt(db)]);
    expect(await asks(db)).toBe(true);
    await prepareIt(db);
    expect([await asks(db), await asks(db, false)]).toEqual([true, false]);
  });

  test("the password is needed in a database where there was nothing but an operator's key", async () => {
    const db = open();
    await createKey(depsOfCommand(db), { name: "before the first start", scopes: ["audit:read"] });
    await prepareIt(db);
    expect(await asks(db)).toBe(true);
  });

  test("the password is needed in a database that was emptied, whatever collections it has", async () => {
    const db = open();
    await plantLegacy(db, "legacy", "legacy@example.com");
    for (const name of ["organizations", "admin_users"]) await db.collection(name).deleteMany({});
    await prepareIt(db);
    expect(await asks(db)).toBe(true);
  });

  test("the password isn't needed any more when records of the first Croupier are restored into a new database, in processes that run on either", async () => {
    const db = open();
    await prepareIt(db);
    const running = createAsksPassword(db, null);
    expect(await running()).toBe(true);
    await plantLegacy(db, "legacy", "legacy@example.com");
    const lines: string[] = [];
    const log = createLogger("info", { write: (line) => void lines.push(line) });
    for (const _ of [1, 2]) await prepare({ db, deployments: deploymentsOf(db), config: testConfig(), log });
    expect([await running(), await asks(db), await asks(db, true)]).toEqual([false, false, true]);
    expect(lines.filter((line) => line.includes("a database that was empty"))).toHaveLength(1);
  });

  test("the password isn't needed in one of the first Croupier, nor in one of a version before this, unless it is set", async () => {
    const [first, before] = [open(), open()];
    await plantLegacy(first, "legacy", "legacy@example.com");
    // Of a version that noted nothing.
    await plantLegacy(before, "before", "before@example.com");
    await prepareIt(before);
    await before.collection("founding").drop();
    for (const db of [first, before]) {
      await prepareIt(db);
      expect([await asks(db), await asks(db, true)]).toEqual([false, true]);
    }
  });

  describe("a client of the first Croupier, on its database", () => {
    let running: RunningService;
    beforeAll(async () => {
      const db = open();
      await plantLegacy(db, "legacy-one", "legacy-one@example.com");
      running = await startService(testConfig({ MONGODB_DB_NAME: db.databaseName }), createLogger("silent"));
      await running.ready;
    }, 60_000);
    afterAll(async () => {
      await running.stop();
    });

    test("changes email and password and deletes with nothing but its token, however old the session is", async () => {
      const { db } = running.deps;
      const body = { email: "legacy-one@example.com", password: legacyPasswords.quick.password };
      const { access_token: token } = (await send(running.url, "POST", "/admin/login", { body })).body;
      const longAgo = { $set: { created_at: new Date(Date.now() - 86_400_000) } };
      await db.collection("sessions").updateMany({}, longAgo);
      const change = { token, body: { email: "other@example.com", password: "Better-Horse-8" } };
      expect((await send(running.url, "PUT", "/org/update", change)).status).toBe(200);
      const set = createApp({ ...running.deps, asksPassword: async () => true });
      const headers = { authorization: `Bearer ${token}` };
      const asked = await readAnswer(await set.request("/org/delete", { method: "DELETE", headers }));
      expect(asked.body.type).toBe("urn:croupier:problem:current_password_required");
      expect((await send(running.url, "DELETE", "/org/delete", { token })).status).toBe(204);
    });
  });
});
