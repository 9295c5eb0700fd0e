import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { ObjectId } from "mongodb";
import { type Entry, entryOf } from "../../src/audit/audit.ts";
import { hashOf } from "../../src/audit/chain.ts";
import { auditEntries, auditPending } from "../../src/audit/store.ts";
import { verify } from "../../src/audit/verify.ts";
import { readKeyId } from "../../src/operator/key-text.ts";
import { until } from "../support/crash.ts";
import { depsOfCommand } from "../support/command-deps.ts";
import { createKey } from "../../src/operator/create-key.ts";
import { revokeKey } from "../../src/operator/revoke-key.ts";
import { useOperatorKey } from "../support/operator.ts";
import { newcomer, useService } from "../support/service.ts";
import { signInTo } from "../support/session.ts";
import { readClaims } from "../support/token.ts";

setDefaultTimeout(60_000);
const service = useService({ TRUSTED_PROXIES: "1" });
const operatorKey = useOperatorKey(service);
const flush = () => service.running.deps.audit.flush();
type View = Omit<Entry, "at" | "chain"> & { id: string; seq: number; at: string; organization_id: string | null };
const read = async (path: string, token: string): Promise<View[]> => {
  await flush();
  const { status, body } = await service.send("GET", path, { token });
  expect(status).toBe(200);
  return body.entries;
};
const ofAll = (id: string, search = "") =>
  read(`/platform/audit?limit=200&organization_id=${id}${search}`, operatorKey());
const acts = (entries: View[]) => entries.map(({ act, outcome }) => `${act} ${outcome}`).reverse();
let addresses = 0;
/** From an address of its own, so that no test's flood is another's. */
const from = () => ({ "x-forwarded-for": `203.0.113.${++addresses}` });

describe("every sensitive act has one entry that says who, what, where from, by which request and how it went:", () => {
  test("an organization's life, from its creation to its end", async () => {
    const who = newcomer("audited");
    const headers = from();
    const address = headers["x-forwarded-for"];
    const ask = (method: string, path: string, options: object = {}) =>
      service.send(method, path, { headers, ...options });
    const made = await ask("POST", "/org/create", { body: who });
    const { id } = made.body;
    const signIn = async (password: string, email = who.email) =>
      ask("POST", "/admin/login", { body: { email, password } });
    await signIn("Wrong-Horse-7");
    const signedIn = await signIn(who.password);
    const token = signedIn.body.access_token as string;
    const { admin_id, sid } = readClaims(token);
    const other = (await signIn(who.password)).body.access_token;
    const taken = await service.join();
    await ask("PUT", "/org/update", { token, body: { organization_name: newcomer("audited").organization_name } });
    await ask("PUT", "/org/update", { token, body: { email: taken.email } });
    const changed = await ask("PUT", "/org/update", {
      token,
      body: { email: newcomer().email, password: "Another-Horse-8" },
    });
    await ask("GET", "/org/documents", { token: other });
    await ask("POST", "/org/indexes", { token, body: { key: { color: 1 } } });
    await ask("DELETE", "/org/indexes/color_1", { token });
    await ask("GET", "/platform/operations", { token });
    const move = await ask("POST", `/platform/organizations/${id}/moves`, {
      token: operatorKey(),
      body: { tier: "starter" },
    });
    await until("the move", async () => {
      const { body } = await service.send("GET", `/platform/operations/${move.body.id}`, { token: operatorKey() });
      return body.status === "succeeded";
    });
    await ask("POST", `/platform/operations/${move.body.id}/cancel`, { token: operatorKey() });
    const headed = { token: operatorKey() };
    await ask("POST", `/platform/organizations/${id}/suspend`, { ...headed, body: { reason: "unpaid" } });
    await signIn("Another-Horse-8", changed.body.email);
    await ask("POST", `/platform/organizations/${id}/reactivate`, headed);
    await ask("POST", `/platform/organizations/${id}/reactivate`, headed);
    await ask("POST", `/platform/organizations/${id}/revoke-tokens`, headed);
    const nobody = "0123456789abcdef01234567";
    await ask("POST", `/platform/organizations/${nobody}/suspend`, { ...headed, body: {} });
    expect(await ofAll(nobody)).toEqual([]);
    const next = await signIn("Another-Horse-8", changed.body.email);
    await ask("POST", "/admin/logout-all", { token: next.body.access_token });
    const again = await service.send("POST", "/admin/login", {
      headers,
      body: { email: changed.body.email, password: "Another-Horse-8" },
    });
    await ask("POST", "/admin/logout", { token: again.body.access_token });
    const last = await service.send("POST", "/admin/login", {
      headers,
      body: { email: changed.body.email, password: "Another-Horse-8" },
    });
    const mine = await read("/org/audit?limit=200", last.body.access_token);
    const removed = await ask("DELETE", "/org/delete", { token: last.body.access_token });

    const entries = await ofAll(id);
    // Refused ones are recorded behind the answer: not always in this place.
    const isRefused = (line: string) => /refused|sign_in failure/.test(line);
    expect(acts(entries).filter((line) => !isRefused(line))).toEqual([
      "organization.create success",
      "session.sign_in success",
      "session.sign_in success",
      "organization.rename success",
      "admin.email failure",
      "admin.email success",
      "admin.password success",
      "index.create success",
      "index.drop success",
      "move.start success",
      "move.end success",
      "move.cancel failure",
      "organization.suspend success",
      "organization.reactivate success",
      "organization.revoke_tokens success",
      "session.sign_in success",
      "session.sign_out_everywhere success",
      "session.sign_in success",
      "session.sign_out success",
      "session.sign_in success",
      "organization.delete success",
    ]);
    expect(acts(entries).filter(isRefused).sort()).toEqual([
      "access.refused refused",
      "access.refused refused",
      "session.sign_in failure",
      "session.sign_in refused",
    ]);
    // Where operators are only operators see.
    const forTenant = (entry: View) => (entry.who.kind === "operator" ? { ...entry, address: null } : entry);
    expect(mine).toEqual(entries.slice(1).map(forTenant));
    expect(mine.filter(({ address }) => address === null).length).toBeGreaterThan(4);
    for (const entry of entries) {
      expect(entry).toMatchObject({ organization_id: id, address });
      expect(entry.request_id).toMatch(/^[\w-]{20,}$/);
      expect(Math.abs(Date.parse(entry.at) - Date.now())).toBeLessThan(60_000);
    }
    const one = (act: string, outcome = "success") =>
      entries.findLast((entry) => entry.act === act && entry.outcome === outcome)!;
    const admin = { kind: "admin" as const, id: admin_id };
    const operator = { kind: "operator", id: readKeyId(operatorKey()) };
    const anonymous = { kind: "anonymous", id: null };
    expect(one("organization.create")).toMatchObject({
      who: anonymous,
      request_id: made.headers.get("x-request-id"),
      details: { organization_name: who.organization_name, tier: "professional", admin_id },
    });
    expect(one("session.sign_in")).toMatchObject({
      who: admin,
      request_id: signedIn.headers.get("x-request-id"),
      details: { session_id: sid },
    });
    expect(one("session.sign_in", "failure")).toMatchObject({ who: anonymous, details: { admin_id } });
    expect(one("admin.email", "failure")).toMatchObject({ who: admin, details: { code: "email_taken" } });
    expect(one("admin.password")).toMatchObject({ who: admin, request_id: changed.headers.get("x-request-id") });
    expect(one("index.create")).toMatchObject({ who: admin, details: { name: "color_1" } });
    expect(one("move.start")).toMatchObject({
      who: operator,
      details: { operation_id: move.body.id, tier: "starter" },
    });
    expect(one("organization.suspend")).toMatchObject({ who: operator, details: {} });
    expect(one("session.sign_in", "refused")).toMatchObject({
      who: admin,
      details: { code: "organization_suspended" },
    });
    expect(one("move.end")).toMatchObject({ who: operator, request_id: move.headers.get("x-request-id") });
    expect(one("move.cancel", "failure")).toMatchObject({ who: operator, details: { code: "operation_state" } });
    const refused = entries.filter(({ act }) => act === "access.refused");
    for (const entry of refused) expect(entry.who).toEqual(admin);
    expect(refused.map(({ details }) => details.code).sort()).toEqual(["operator_key_invalid", "token_invalid"]);
    expect(one("organization.delete").request_id).toBe(removed.headers.get("x-request-id"));
    expect(await verify({ db: service.db }, id, () => {})).toBe(true);
    expect(await auditPending(service.db).countDocuments()).toBe(0);
  });

  test("what concerns no organization that there is, in the platform's own chain", async () => {
    const headers = from();
    const taken = await service.join();
    const lost = await service.send("POST", "/org/create", { headers, body: { ...newcomer(), email: taken.email } });
    expect(lost.status).toBe(400);
    await service.send("POST", "/admin/login", {
      headers,
      body: { email: "nobody@x.example", password: "Some-Horse-7" },
    });
    await service.send("GET", "/org/documents", { headers });
    await service.send("GET", "/org/documents", { headers, token: "e30.e30.AAAA" });
    await service.send("GET", "/platform/operations", { headers, token: "x".repeat(40) });
    const entries = (await read("/platform/audit?limit=200", operatorKey())).filter(
      ({ address }) => address === headers["x-forwarded-for"],
    );
    expect(acts(entries).sort()).toEqual([
      "access.refused refused",
      "access.refused refused",
      "access.refused refused",
      "organization.create failure",
      "session.sign_in failure",
    ]);
    for (const entry of entries) {
      expect(entry).toMatchObject({ organization_id: null, who: { kind: "anonymous", id: null } });
    }
    const codes = entries.flatMap(({ act, details }) => (act === "access.refused" ? [details] : []));
    expect(codes).toContainEqual({ code: "token_missing", method: "GET", route: "/org/documents" });
    expect(entries.find(({ act }) => act === "session.sign_in")!.details).toEqual({});
  });
});

describe("why an organization was suspended", () => {
  test("is on record for operators, and not for the organization", async () => {
    const who = await service.join();
    const headers = from();
    const reason = "suspected fraud, case 4711";
    const ask = (verb: string, body?: object) =>
      service.send("POST", `/platform/organizations/${who.id}/${verb}`, {
        token: operatorKey(),
        headers,
        ...(body && { body }),
      });
    expect((await ask("suspend", { reason })).status).toBe(200);
    expect((await ask("reactivate")).status).toBe(200);
    const all = await read(`/platform/audit?limit=200&act=organization.suspend`, operatorKey());
    const here = all.filter(({ address }) => address === headers["x-forwarded-for"]);
    const shown = here.map(({ organization_id, outcome, details }) => ({ organization_id, outcome, details }));
    expect(shown.sort((a, b) => String(b.organization_id).localeCompare(String(a.organization_id)))).toEqual([
      { organization_id: null, outcome: "success", details: { organization_id: who.id, reason } },
      { organization_id: who.id, outcome: "success", details: {} },
    ]);
    const { access_token } = await signInTo(service, who);
    expect(JSON.stringify(await read("/org/audit?limit=200", access_token))).not.toContain("4711");
  });
});

describe("refused access is on record", () => {
  const refusedFrom = async (address: string) => {
    const entries = await read("/platform/audit?limit=200&act=access.refused", operatorKey());
    return entries.filter((entry) => entry.address === address);
  };

  test("with the operator's key that was used, whatever it lacked, and the organization that was asked for", async () => {
    const { id } = await service.join();
    const headers = from();
    const elsewhere = { allow: ["192.0.2.0/24"] };
    const make = async (more: object) =>
      (await createKey(depsOfCommand(service.db), { name: "narrow", scopes: ["moves:write"], ...more })).key;
    const [narrow, outside, revoked] = [await make({}), await make(elsewhere), await make({})];
    await revokeKey(depsOfCommand(service.db), readKeyId(revoked)!);
    for (const token of [narrow, outside, revoked, `${narrow.slice(0, -1)}x`]) {
      await service.send("POST", `/platform/organizations/${id}/suspend`, { token, headers, body: {} });
    }
    const shown = (await refusedFrom(headers["x-forwarded-for"]))
      .map(({ who, details }) => ({ who, details }))
      .reverse();
    const route = { method: "POST", route: "/platform/organizations/:id/suspend", organization_id: id };
    const by = (key: string) => ({ kind: "operator", id: readKeyId(key) });
    expect(shown.sort((a, b) => String(a.details.code).localeCompare(String(b.details.code)))).toEqual([
      { who: by(outside), details: { code: "address_not_allowed", ...route } },
      ...[by(revoked), { kind: "anonymous" as const, id: null }].map((who) => ({
        who: who as View["who"],
        details: { code: "operator_key_invalid", ...route },
      })),
      { who: by(narrow), details: { code: "scope_missing", ...route } },
    ] as never);
  });

  test("of the organization whose refresh token came from where it allows none", async () => {
    const who = await service.join();
    const { refresh_token } = await signInTo(service, who);
    const body = { cidrs: ["203.0.113.0/24"] };
    const set = await service.send("PUT", "/org/allow-list", { token: who.token, headers: from(), body });
    expect(set.status).toBe(200);
    const headers = { "x-forwarded-for": "198.51.100.7" };
    const refused = await service.send("POST", "/admin/refresh", { body: { refresh_token }, headers });
    expect(refused.status).toBe(403);
    const [entry] = (await ofAll(who.id)).filter(({ act }) => act === "access.refused");
    expect(entry).toMatchObject({
      who: { kind: "admin", id: readClaims(who.token).admin_id },
      address: "198.51.100.7",
      details: { code: "address_not_allowed", route: "/admin/refresh" },
    });
  });
});

describe("an entry of the record", () => {
  test("no entry holds a password, a token, a secret or an email, whatever was sent", async () => {
    const who = { ...newcomer(), email: "o'brien{audited}`x@secret-mail.example", password: "Secret-Horse-7" };
    const headers = { ...from(), "x-request-id": "ada@secret-mail.example" };
    const login = { email: who.email, password: who.password };
    await service.send("POST", "/org/create", { headers, body: who });
    const { access_token: token } = (await service.send("POST", "/admin/login", { headers, body: login })).body;
    await service.send("POST", "/admin/login", { headers, body: { ...login, password: "Wrong-Secret-Horse-1" } });
    await service.send("POST", "/admin/login", { headers, body: { ...login, email: "none@secret-mail.example" } });
    await service.send("PUT", "/org/update", {
      headers,
      token,
      body: { email: "next@secret-mail.example", password: "Secret-Horse-8" },
    });
    await service.send("POST", "/org/indexes", {
      headers,
      token,
      body: { key: { a: 1 }, name: "of next@secret-mail.example" },
    });
    await service.send("GET", "/org/documents?filter={%22email%22:%22x@secret-mail.example%22}", {
      headers,
      token: `${token}x`,
    });
    await service.send("GET", `/org/${who.email}`, { headers, token: "Secret-Horse-9" });
    await service.send("DELETE", "/org/delete", { headers, token });
    await flush();
    const text = JSON.stringify(await auditEntries(service.db).find().toArray());
    for (const secret of [
      "secret-mail",
      "brien",
      "Secret-Horse",
      token.split(".")[2],
      token.split(".")[1],
      operatorKey(),
      "$2b$",
      service.running.deps.config.jwt.secrets[0],
    ]) {
      expect(text).not.toContain(secret);
    }
  });

  test("no entry can be forged by newlines and control characters in names and headers", async () => {
    const who = await service.join();
    const name = 'x\n{"act":"key.create"}\u2028\u202e';
    await service.send("POST", "/org/indexes", { token: who.token, body: { key: { a: 1 }, name } });
    await service.send("POST", "/org/indexes", { token: who.token, body: { key: { "a\nb": 1 } } });
    const entries = await ofAll(who.id);
    expect(entries.length).toBeGreaterThan(2);
    expect(JSON.stringify(entries)).not.toMatch(/\\[nru]|[\p{C}\p{Zl}\p{Zp}]/u);
    expect(entries.some(({ act }) => act === "key.create")).toBe(false);
  });
});

describe("reading", () => {
  test("shows an admin the own organization only, and an operator each", async () => {
    const [one, two] = [await service.join(), await service.join()];
    for (const { id, token } of [one, two]) {
      const own = await read("/org/audit", token);
      expect(acts(own)).toEqual(["organization.create success", "session.sign_in success"]);
      expect(own.every(({ organization_id }) => organization_id === id)).toBe(true);
      expect(await ofAll(id)).toEqual(own);
    }
  });

  test("is filtered by act, kind, outcome and time", async () => {
    const who = await service.join();
    await service.send("POST", "/admin/login", {
      headers: from(),
      body: { email: who.email, password: "Wrong-Horse-1" },
    });
    const all = await ofAll(who.id);
    expect(all).toHaveLength(3);
    const filtered = async (search: string) => acts(await read(`/org/audit?${search}`, who.token));
    const [signIn, failed, create] = [
      "session.sign_in success",
      "session.sign_in failure",
      "organization.create success",
    ];
    expect(await filtered("act=session.sign_in")).toEqual([signIn, failed]);
    expect(await filtered("kind=session&outcome=failure")).toEqual([failed]);
    expect(await filtered("kind=organization")).toEqual([create]);
    expect(await filtered("kind=organization&act=session.sign_in")).toEqual([]);
    expect(await filtered(`from=${all[1]!.at}`)).toEqual(acts(all.filter(({ at }) => at >= all[1]!.at)));
    expect(await filtered(`to=${all[1]!.at}`)).toEqual(acts(all.filter(({ at }) => at < all[1]!.at)));
    const offset = all[1]!.at.replace("Z", "%2B00:00");
    expect(await filtered(`from=${offset}&to=${offset}`)).toEqual([]);
  });

  test("in pages shows each entry once, the newest first, while others are appended, some of one time", async () => {
    const who = await service.join();
    const organizationId = new ObjectId(who.id);
    const { audit } = service.running.deps;
    const times = Array.from({ length: 40 }, (_, n) => new Date(Date.now() - Math.floor(n / 7) * 1000));
    const append = (at: Date) =>
      audit.append(entryOf({ now: () => at }, { act: "key.create", organizationId }, "success"));
    await Promise.all(times.map(append));
    for (const [path, token] of [
      ["/org/audit?", who.token],
      [`/platform/audit?organization_id=${who.id}&`, operatorKey()],
      ["/platform/audit?", operatorKey()],
    ] as const) {
      const seen: View[] = [];
      let cursor: string | null = "";
      for (let pages = 0; cursor !== null && pages < 60; pages++) {
        const search: string = `kind=key&limit=7${cursor && `&cursor=${cursor}`}`;
        const { body } = await service.send("GET", path + search, { token });
        seen.push(...body.entries);
        cursor = body.next_cursor;
        await append(new Date(Date.now() + 1000));
      }
      expect(cursor).toBeNull();
      expect(new Set(seen.map(({ id }) => id)).size).toBe(seen.length);
      expect(seen.length).toBeGreaterThanOrEqual(40);
      const order = seen.map(({ at, id }) => `${at} ${id}`);
      expect(order).toEqual([...order].sort().reverse());
    }
  });
});

test("an entry that was altered in the database is named as damaged, and the others are shown, page by page", async () => {
  const who = await service.join();
  const organizationId = new ObjectId(who.id);
  const { audit } = service.running.deps;
  for (let n = 3; n <= 9; n++) {
    await audit.append(entryOf({ now: () => new Date() }, { act: "key.create", organizationId }, "success"));
  }
  await flush();
  const id = (seq: number) => `${who.id}/${String(seq).padStart(12, "0")}`;
  const get = async (seq: number) => (await auditEntries(service.db).findOne({ _id: id(seq) }))!;
  const set = (seq: number, change: object) =>
    auditEntries(service.db).updateOne({ _id: id(seq) }, { $set: change as Partial<Entry> });
  const rehashed = async (seq: number, change: object) =>
    set(seq, { ...change, hash: hashOf({ ...(await get(seq)), ...change }) });
  await set(3, { at: { $date: (await get(3)).at.toISOString() } });
  await rehashed(4, { at: "yesterday" });
  await rehashed(5, { who: null });
  await set(6, { outcome: "failure" });
  await set(7, { details: null });
  for (const limit of [200, 3]) {
    const shown: number[] = [];
    const damaged: string[] = [];
    for (let cursor: string | null = ""; cursor !== null;) {
      const search: string = `limit=${limit}${cursor && `&cursor=${cursor}`}`;
      const { status, body } = await service.send("GET", `/org/audit?${search}`, { token: who.token });
      expect(status).toBe(200);
      shown.push(...body.entries.map(({ seq }: View) => seq));
      damaged.push(...body.damaged);
      cursor = body.next_cursor;
    }
    expect(shown).toEqual([9, 8, 2, 1]);
    // Those without a time come after all others, so they are on the first page or on none.
    expect(damaged.sort()).toEqual((limit === 3 ? [5, 6, 7] : [3, 4, 5, 6, 7]).map(id));
  }
});

describe("a flood", () => {
  test("of failed sign-ins is ten entries and a number, of one address; another address has its own", async () => {
    await flush();
    const who = await service.join();
    const [flooding, other] = [from(), from()];
    const tries = 60;
    const attempt = (headers: Record<string, string>) =>
      service.send("POST", "/admin/login", { headers, body: { email: who.email, password: "Wrong-Horse-1" } });
    await Promise.all(Array.from({ length: tries }, () => attempt(flooding)));
    await attempt(other);
    const failed = await ofAll(who.id, "&outcome=failure");
    const of = ({ "x-forwarded-for": address }: typeof other) => failed.filter((entry) => entry.address === address);
    const counted = of(flooding).flatMap(({ details }) => details.count ?? []);
    expect(of(flooding)).toHaveLength(11);
    expect(counted).toEqual([tries - 10]);
    expect(of(other)).toHaveLength(1);
  });
});

test("a sign-in that can't be recorded is 503, and no token is handed out", async () => {
  const who = await service.join();
  const { deps } = service.running;
  const { append } = deps.audit;
  deps.audit.append = async (entry) => {
    if (entry.act === "session.sign_in") throw Object.assign(new Error("away"), { name: "MongoNetworkError" });
    await append(entry);
  };
  try {
    const refused = await service.send("POST", "/admin/login", { body: { email: who.email, password: who.password } });
    expect(refused.status).toBe(503);
    expect(refused.text).not.toContain("access_token");
  } finally {
    deps.audit.append = append;
  }
  expect(await service.send("POST", "/admin/login", { body: who })).toMatchObject({ status: 422 });
});
