import { afterEach, describe, expect, setSystemTime, test } from "bun:test";
import { createApp } from "../../src/app.ts";
import { makeKeyText, readKeyId } from "../../src/operator/key-text.ts";
import { createKnownKeys } from "../../src/operator/known-keys.ts";
import { findById } from "../../src/operator/store.ts";
import { makeOperatorKey } from "../support/operator.ts";
import { expectProblem } from "../support/problem.ts";
import { type Answer, goodPassword, newcomer, readAnswer, useService } from "../support/service.ts";
import { refreshAt, sidOf, signInTo } from "../support/session.ts";

const service = useService({
  RATE_LIMIT_STORE: "mongodb",
  TRUSTED_PROXIES: "1",
  RATE_LIMIT_SIGN_IN: "20",
  RATE_LIMIT_SIGN_IN_EMAIL: "10",
  RATE_LIMIT_SIGN_IN_ADDRESS: "15",
  RATE_LIMIT_CREATE: "10",
  RATE_LIMIT_PASSWORD: "3",
  RATE_LIMIT_READ: "10",
  RATE_LIMIT_REFUSED: "5",
  RATE_LIMIT_PROFESSIONAL: "20",
  RATE_LIMIT_ENTERPRISE: "30",
  RATE_LIMIT_OPERATOR: "8",
});

let addresses = 0;
/** An address that no other test uses. */
const freshAddress = () => `198.18.${++addresses >> 8}.${addresses & 255}`;
const from = (address: string) => ({ "x-forwarded-for": address });
const times = <T>(count: number, make: (index: number) => T) =>
  Array.from({ length: count }, (_none, index) => make(index));
const statuses = (answers: Answer[]) =>
  Object.fromEntries(
    Object.entries(Object.groupBy(answers, ({ status }) => status)).map(([status, some]) => [status, some!.length]),
  );
const signIn = (email: string, address = freshAddress(), password = "Wrong-Horse-7") =>
  service.send("POST", "/admin/login", { body: { email, password }, headers: from(address) });
const join = async () => {
  const who = newcomer("limited");
  const { body } = await service.send("POST", "/org/create", { body: who, headers: from(freshAddress()) });
  const signedIn = await signIn(who.email, freshAddress(), who.password);
  return { ...who, id: body.id as string, token: signedIn.body.access_token as string };
};

type Shown = Record<string, { q: number; w: number; r: number; t: number }>;
/** The RateLimit headers, read strictly: both name the same limits in the same order. */
function shown({ headers }: Answer): Shown {
  const read = (header: string, pattern: RegExp) =>
    (headers.get(header) ?? "").split(", ").map((item) => {
      const [, name = "", a, b] = pattern.exec(item) ?? [];
      expect({ header, item }).toEqual({ header, item: expect.stringMatching(pattern) });
      return [name, Number(a), Number(b)] as const;
    });
  const policies = read("ratelimit-policy", /^"([a-z-]+)";q=(\d+);w=(\d+)$/);
  const rates = read("ratelimit", /^"([a-z-]+)";r=(\d+);t=(\d+)$/);
  expect(rates.map(([name]) => name)).toEqual(policies.map(([name]) => name));
  return Object.fromEntries(policies.map(([name, q, w], at) => [name, { q, w, r: rates[at]![1], t: rates[at]![2] }]));
}

/** A refusal is a whole problem, and its Retry-After is what its RateLimit says. */
function expectLimited(answer: Answer, path: string): number {
  expectProblem(answer, { status: 429, type: "rate_limited", path });
  const seconds = Number(answer.headers.get("retry-after"));
  const spent = Object.values(shown(answer)).filter(({ r }) => r === 0);
  expect(spent.map(({ t }) => t)).toContain(seconds);
  return seconds;
}

afterEach(() => {
  setSystemTime();
});
/** Time for the service too: it runs in this process. */
const wait = (seconds: number) => void setSystemTime(new Date(Date.now() + seconds * 1000));

describe("tries to sign in", () => {
  test("of 50 sign-ins at once with one email, from as many addresses of one network, exactly 10 are let through", async () => {
    const { email } = newcomer();
    const answers = await Promise.all(times(50, () => signIn(email)));
    expect(statuses(answers)).toEqual({ 401: 10, 429: 40 });
    for (const answer of answers.filter(({ status }) => status === 429)) expectLimited(answer, "/admin/login");
  });

  test("of 50 sign-ins at once from one address, with as many emails, exactly 15 are let through", async () => {
    const address = freshAddress();
    const answers = await Promise.all(times(50, () => signIn(newcomer().email, address)));
    expect(statuses(answers)).toEqual({ 401: 15, 429: 35 });
    expect((await signIn(newcomer().email)).status).toBe(401);
  });

  test("sign-ins count by the address that the proxy saw, not by those that the caller made up", async () => {
    const address = freshAddress();
    const answers = await Promise.all(
      times(20, () => signIn(newcomer().email, `${freshAddress()}, ${freshAddress()}, ${address}`)),
    );
    expect(statuses(answers)).toEqual({ 401: 15, 429: 5 });
  });

  test("count by the /64 of an IPv6 address", async () => {
    const answers = await Promise.all(times(20, (index) => signIn(newcomer().email, `2001:db8:5:1::${index + 1}`)));
    expect(statuses(answers)).toEqual({ 401: 15, 429: 5 });
    expect((await signIn(newcomer().email, "2001:db8:5:2::1")).status).toBe(401);
  });

  test("count by the /48 around it too, ten times as loosely, like all that counts by address", async () => {
    const ask = (index: number) =>
      service.send("GET", "/org/get?organization_name=nobody", { headers: from(`2001:db8:6:${index}::1`) });
    const answers = await Promise.all(times(110, ask));
    expect(statuses(answers)).toEqual({ 404: 100, 429: 10 });
    for (const { headers } of answers) expect(headers.get("ratelimit")).toContain('"read-address-network";r=');
    expect(
      (await service.send("GET", "/org/get?organization_name=nobody", { headers: from("2001:db8:7::1") })).status,
    ).toBe(404);
    const wrong = (index: number) =>
      service.send("GET", "/admin/me", { token: "e30.e30.e30", headers: from(`2001:db8:6:${index}::1`) });
    expect(statuses(await Promise.all(times(55, wrong)))).toEqual({ 401: 50, 429: 5 });
    const key = { token: makeKeyText().key, headers: from("2001:db8:6:999::1") };
    expect((await service.send("GET", "/platform/operations", key)).status).toBe(429);
  });

  test("that is right isn't counted for the /48 either", async () => {
    const { email, password } = await join();
    const left = async (index: number) => {
      const headers = shown(await signIn(email, `2001:db8:8:${index}::1`, password));
      return headers["sign-in-address-network"]!.r;
    };
    expect([await left(1), await left(2)]).toEqual([150, 150]);
  });

  test("count for an email however it is spelled", async () => {
    const { email } = newcomer();
    const answers = await Promise.all(times(12, (index) => signIn(index % 2 ? email.toUpperCase() : email)));
    expect(statuses(answers)).toEqual({ 401: 10, 429: 2 });
  });

  test("sign-ins over the limit are refused before a password is checked, with the right one too", async () => {
    const who = await join();
    const { deps } = service.running;
    let checked = 0;
    const passwords = { ...deps.passwords, matches: async () => Boolean(++checked) && false };
    const app = createApp({ ...deps, passwords });
    const headers = { "content-type": "application/json" };
    const trial = async () => {
      const body = JSON.stringify({ email: who.email, password: who.password });
      return readAnswer(
        await app.request("/admin/login", { method: "POST", body, headers: { ...headers, ...from(freshAddress()) } }),
      );
    };
    const answers = [];
    for (let count = 0; count < 15; count++) answers.push(await trial());
    expect(statuses(answers)).toEqual({ 401: 10, 429: 5 });
    expect(checked).toBe(10);
  });

  test("limits of sign-ins tell the same of a known email and of an unknown one", async () => {
    const known = (await join()).email;
    const unknown = newcomer().email;
    const watch = async (email: string) => {
      const answers = [];
      for (let count = 0; count < 13; count++) answers.push(await signIn(email));
      return answers.map((answer) => {
        const { type, title, status, instance } = answer.body;
        const { "sign-in-email": byEmail, "sign-in-address": byAddress } = shown(answer);
        return { type, title, status, instance, q: byEmail?.q, w: byEmail?.w, r: byEmail?.r, address: byAddress?.r };
      });
    };
    const ofUnknown = await watch(unknown);
    expect(await watch(known)).toEqual(ofUnknown);
    expect(ofUnknown.map(({ r }) => r)).toEqual([9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 0, 0, 0]);
  });

  test("sign-ins have to wait twice as long after each window that was used up", async () => {
    const { email } = newcomer();
    for (const expected of [60, 120, 240]) {
      for (let count = 0; count < 10; count++) expect((await signIn(email)).status).toBe(401);
      const refused = await signIn(email);
      const seconds = expectLimited(refused, "/admin/login");
      expect(shown(refused)["sign-in-email"]!.w).toBe(expected);
      expect(seconds).toBeWithin(expected - 30, expected + 1);
      // Shortly before its time is over it is still refused.
      wait(seconds - 5);
      expectLimited(await signIn(email), "/admin/login");
      wait(6);
    }
  }, 60_000);

  test("start anew for an email after a right one, which doesn't count for its address either", async () => {
    const { email, password } = await join();
    const address = freshAddress();
    for (let round = 0; round < 4; round++) {
      for (let count = 0; count < 3; count++) expect((await signIn(email, address)).status).toBe(401);
      const right = await signIn(email, address, password);
      expect(right.status).toBe(200);
      const { "sign-in-email": byEmail, "sign-in-address": byAddress } = shown(right);
      expect([byEmail!.r, byAddress!.r]).toEqual([10, 15 - (round + 1) * 3]);
    }
  });

  test("that were right, but took longer than the window, neither shorten the next nor let one more through", async () => {
    const who = await join();
    const address = freshAddress();
    const { deps } = service.running;
    const matches: typeof deps.passwords.matches = async (...args) => {
      wait(61);
      return await deps.passwords.matches(...args);
    };
    const app = createApp({ ...deps, passwords: { ...deps.passwords, matches } });
    for (let count = 0; count < 14; count++) await signIn(newcomer().email, address);
    const headers = { "content-type": "application/json", ...from(address) };
    const body = JSON.stringify({ email: who.email, password: who.password });
    const right = await readAnswer(await app.request("/admin/login", { method: "POST", body, headers }));
    expect(right.status).toBe(200);
    expect(shown(right)["sign-in-address"]).toMatchObject({ r: 0, w: 60 });
    const answers = [];
    for (let count = 0; count < 16; count++) answers.push(await signIn(newcomer().email, address));
    expect(statuses(answers)).toEqual({ 401: 15, 429: 1 });
    expect(shown(answers[15]!)["sign-in-address"]).toMatchObject({ r: 0, w: 120 });
    expect(expectLimited(answers[15]!, "/admin/login")).toBeWithin(90, 121);
  });

  test("are refused when there were too many right ones, too: each costs a core for a while", async () => {
    const { email, password } = await join();
    const answers = [];
    for (let count = 0; count < 22; count++) answers.push(await signIn(email, freshAddress(), password));
    expect(statuses(answers)).toEqual({ 200: 19, 429: 3 });
    expect(shown(answers[18]!)).toMatchObject({ "sign-in": { q: 20, r: 0 }, "sign-in-email": { q: 10, r: 10 } });
    expectLimited(answers[19]!, "/admin/login");
    wait(61);
    expect((await signIn(email, freshAddress(), password)).status).toBe(200);
  });

  test("leave neither email nor address in the store", async () => {
    const { email } = newcomer("stored");
    const address = freshAddress();
    await signIn(email, address);
    const entries = await service.db.collection("rate_limits").find().toArray();
    expect(entries.length).toBeGreaterThan(0);
    const text = JSON.stringify(entries);
    expect(text).not.toContain(email.split("@")[0]!);
    expect(text).not.toContain(address);
    for (const { key, expire } of entries) {
      expect(key).toMatch(/^:?[a-z-]+:(day:)?[\w-]{32}$/);
      expect(expire).toBeInstanceOf(Date);
    }
  });
});

test("of 30 organizations made at once from one address exactly 10 are, and the headers of all are true", async () => {
  const address = freshAddress();
  const answers = await Promise.all(
    times(30, () => service.send("POST", "/org/create", { body: newcomer("many"), headers: from(address) })),
  );
  expect(statuses(answers)).toEqual({ 201: 10, 429: 20 });
  const left = answers.filter(({ status }) => status === 201).map((answer) => shown(answer)["create-address"]!.r);
  expect(left.sort((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  for (const answer of answers.filter(({ status }) => status === 429)) {
    expect(expectLimited(answer, "/org/create")).toBeWithin(3_500, 3_601);
  }
});

test("an organization may change its password few times in an hour, counted before one is hashed, and its name goes on", async () => {
  const [busy, quiet] = [await join(), await join()];
  const update = (token: string, body: object) => service.send("PUT", "/org/update", { token, body });
  const answers = [];
  for (let count = 0; count < 5; count++) answers.push(await update(busy.token, { password: `Other-Horse-${count}` }));
  expect(statuses(answers)).toEqual({ 200: 3, 429: 2 });
  expect(shown(answers[2]!)).toMatchObject({ credentials: { q: 3, w: 3_600, r: 0 }, organization: { q: 20 } });
  expect(expectLimited(answers[3]!, "/org/update")).toBeWithin(3_500, 3_601);
  expect((await signIn(busy.email, freshAddress(), "Other-Horse-2")).status).toBe(200);
  expect((await update(busy.token, { organization_name: newcomer().organization_name })).status).toBe(200);
  expect((await update(quiet.token, { password: "Other-Horse-9" })).status).toBe(200);
});

test("an organization is told of few emails in an hour whether somebody has them, with or without a new password", async () => {
  const [busy, known] = [await join(), await join()];
  const update = (body: object) => service.send("PUT", "/org/update", { token: busy.token, body });
  const answers = [
    await update({ email: known.email }),
    await update({ email: known.email, password: "Other-Horse-1" }),
    await update({ email: newcomer().email }),
    await update({ email: known.email }),
    await update({ email: newcomer().email }),
    await update({ password: "Other-Horse-2" }),
  ];
  expect(answers.map(({ status }) => status)).toEqual([400, 400, 200, 429, 429, 429]);
  expectProblem(answers[0]!, { status: 400, type: "email_taken", path: "/org/update" });
  expect(shown(answers[2]!)).toMatchObject({ credentials: { q: 3, w: 3_600, r: 0 } });
  expect(expectLimited(answers[3]!, "/org/update")).toBeWithin(3_500, 3_601);
});

test("reads without a token are limited by address", async () => {
  const read = (address: string) =>
    service.send("GET", "/org/get?organization_name=nobody-has-this", { headers: from(address) });
  const address = freshAddress();
  const answers = await Promise.all(times(20, () => read(address)));
  expect(statuses(answers)).toEqual({ 404: 10, 429: 10 });
  expect((await read(freshAddress())).status).toBe(404);
  wait(61);
  expect((await read(address)).status).toBe(404);
});

test("a key that is used for what it may not do is limited by address like a wrong one, and one in use that may goes on", async () => {
  const [narrow, right] = [await makeOperatorKey(service.db, ["audit:read"]), await makeOperatorKey(service.db)];
  const address = freshAddress();
  const ask = (token: string) => service.send("GET", "/platform/operations", { token, headers: from(address) });
  expect((await ask(right)).status).toBe(200);
  const answers = [];
  for (let count = 0; count < 7; count++) answers.push(await ask(narrow));
  expect(answers.map(({ status }) => status)).toEqual([403, 403, 403, 403, 403, 429, 429]);
  expectLimited(answers[5]!, "/platform/operations");
  expect((await ask(right)).status).toBe(200);
});

test("wrong keys from one address are looked up as often as they may be sent, while those in use and other addresses go on", async () => {
  const { deps } = service.running;
  let lookedUp = 0;
  const find = (id: string) => (lookedUp++, findById(service.db, id));
  const knownKeys = createKnownKeys({ ...deps, store: { find, noteUse: async () => {} }, recentMs: 1 });
  const app = createApp({ ...deps, knownKeys });
  const address = freshAddress();
  const ask = async (key: string, sender = address) => {
    const headers = { ...from(sender), authorization: `Bearer ${key}` };
    return readAnswer(await app.request("/platform/operations", { headers }));
  };
  const right = await makeOperatorKey(service.db);
  expect((await ask(right)).status).toBe(200);
  lookedUp = 0;
  const answers = [];
  for (let count = 0; count < 20; count++) answers.push(await ask(makeKeyText().key));
  expect(statuses(answers)).toEqual({ 401: 5, 429: 15 });
  expect(lookedUp).toBe(5);
  for (const answer of answers.slice(5)) {
    expectLimited(answer, "/platform/operations");
    expect(answer.headers.get("www-authenticate")).toBeNull();
    expect(shown(answer)).toMatchObject({ "refused-address": { q: 5, w: 60, r: 0 } });
  }
  expect((await ask(right)).status).toBe(200);
  expect((await ask(makeKeyText().key, freshAddress())).status).toBe(401);
  wait(61);
  expect((await ask(makeKeyText().key)).status).toBe(401);
});

test("a wrong password is no wrong token, whatever is sent beside it", async () => {
  const headers = { ...from(freshAddress()), authorization: "Bearer wrong" };
  const answers = [];
  for (let count = 0; count < 7; count++) {
    const body = { email: newcomer().email, password: "Wrong-Horse-7" };
    answers.push(await service.send("POST", "/admin/login", { body, headers }));
  }
  expect(statuses(answers)).toEqual({ 401: 7 });
  expect(Object.keys(shown(answers[6]!))).toEqual(["sign-in-address", "sign-in-email", "sign-in"]);
});

test("wrong tokens and keys are limited by address, and right ones go on", async () => {
  const { token } = await join();
  const address = freshAddress();
  const ask = (path: string, bearer?: string) =>
    service.send("GET", path, { ...(bearer && { token: bearer }), headers: from(address) });
  const answers = [];
  for (const path of ["/org/documents", "/platform/operations", "/org/indexes", "/org/documents"]) {
    answers.push(await ask(path, "wrong"), await ask(path, `${token}x`));
  }
  expect(answers.map(({ status }) => status)).toEqual([401, 401, 401, 401, 401, 429, 429, 429]);
  expectLimited(answers[5]!, "/org/indexes");
  expect((await ask("/org/documents", token)).status).toBe(200);
});

describe("an organization", () => {
  test("may send what its tier allows, with all its tokens together, and no other is held up by it", async () => {
    const [busy, quiet] = [await join(), await join()];
    const second = (await signIn(busy.email, freshAddress(), goodPassword)).body.access_token as string;
    const ask = (token: string) => service.send("GET", "/org/documents?limit=1", { token });
    const answers = await Promise.all(times(30, (index) => ask(index % 2 ? busy.token : second)));
    expect(statuses(answers)).toEqual({ 200: 20, 429: 10 });
    const left = answers.filter(({ status }) => status === 200).map((answer) => shown(answer).organization!.r);
    expect(left.sort((a, b) => a - b)).toEqual(times(20, (index) => index));
    for (const answer of answers.filter(({ status }) => status === 429)) {
      expect(shown(answer).organization).toMatchObject({ q: 20, w: 60 });
      expect(expectLimited(answer, "/org/documents")).toBeWithin(1, 61);
    }
    expectLimited(await service.send("PUT", "/org/update", { token: busy.token, body: {} }), "/org/update");
    expect((await ask(quiet.token)).status).toBe(200);
    wait(61);
    expect((await ask(busy.token)).status).toBe(200);
  });

  test("has a rest that one token can't use up, nor can those that it is renewed by: another token ends it", async () => {
    const { email, password, token } = await join();
    const flood = await signInTo(service, { email, password });
    const ask = (bearer: string) => service.send("GET", "/org/documents?limit=1", { token: bearer });
    const answers = await Promise.all(times(30, () => ask(flood.access_token)));
    expect(statuses(answers)).toEqual({ 200: 16, 429: 14 });
    for (const answer of answers.filter(({ status }) => status === 429)) {
      expect(shown(answer)).toMatchObject({ token: { q: 16, w: 60, r: 0 } });
      expectLimited(answer, "/org/documents");
    }
    const renewed = await refreshAt(service, flood.refresh_token);
    expect(renewed.status).toBe(200);
    expectLimited(await ask(renewed.body.access_token), "/org/documents");
    expect((await service.send("POST", "/admin/logout-all", { token })).status).toBe(204);
    expect((await ask(renewed.body.access_token)).status).toBe(401);
  });
});

test("an operator's key may send so much, and another one goes on", async () => {
  const [busy, quiet] = [await makeOperatorKey(service.db), await makeOperatorKey(service.db)];
  const ask = (token: string) => service.send("GET", "/platform/operations", { token });
  const answers = await Promise.all(times(12, () => ask(busy)));
  expect(statuses(answers)).toEqual({ 200: 8, 429: 4 });
  for (const answer of answers.filter(({ status }) => status === 429)) {
    expect(shown(answer)).toMatchObject({ "operator-key": { q: 8, w: 60 } });
    expectLimited(answer, "/platform/operations");
  }
  expect((await ask(quiet)).status).toBe(200);
  wait(61);
  expect((await ask(busy)).status).toBe(200);
});

describe("an organization with too many requests at work", () => {
  const crowded = useService({ REQUESTS_AT_ONCE: "3", REQUESTS_WAITING: "2" });

  test("of one organization's requests beyond its share a few wait and the others are refused, while every other organization goes on", async () => {
    const [busy, quiet] = [await crowded.join(), await crowded.join()];
    const { deps } = crowded.running;
    const gate = Promise.withResolvers<void>();
    let atWork = 0;
    let atWorkMax = 0;
    // Three that take until the gate opens.
    const hold = async () => {
      const leave = await deps.limits.crowd.enter(busy.id);
      if (!leave) return "refused";
      atWorkMax = Math.max(atWorkMax, ++atWork);
      await gate.promise;
      atWork--;
      leave();
      return "done";
    };
    const held = times(3, hold);
    const ask = (token: string) => crowded.send("GET", "/org/documents", { token });
    const startedMs = performance.now();
    const asked = times(10, () => ask(busy.token));
    await Promise.race(asked);
    // Nobody is told so soon that trying again at once would keep the service busy.
    expect(performance.now() - startedMs).toBeGreaterThan(240);
    const answers = await Promise.all(asked);
    expect(statuses(answers)).toEqual({ 429: 10 });
    for (const answer of answers) {
      expectProblem(answer, { status: 429, type: "rate_limited", path: "/org/documents" });
      expect(answer.headers.get("retry-after")).toBe("1");
      const told = ["ratelimit-policy", "ratelimit"].map((name) => answer.headers.get(name) ?? "");
      expect([
        ['"at-once";q=3;qu="concurrent-requests"', '"at-once";r=0;t=1'],
        ['"token-at-once";q=2;qu="concurrent-requests"', '"token-at-once";r=0;t=1'],
      ]).toContainEqual(told);
    }
    expect((await ask(quiet.token)).status).toBe(200);
    const waiting = times(2, () => ask(busy.token));
    gate.resolve();
    expect(statuses(await Promise.all(waiting))).toEqual({ 200: 2 });
    expect(await Promise.all(held)).toEqual(["done", "done", "done"]);
    expect(atWorkMax).toBe(3);
    expect((await ask(busy.token)).status).toBe(200);
  });

  test("has a place that one token can't take: another token ends it", async () => {
    const who = await crowded.join();
    const { access_token } = await signInTo(crowded, who);
    const { tokenCrowd, crowd } = crowded.running.deps.limits;
    // As many as may be at work with one token, and they don't end.
    const leaves = await Promise.all(times(2, () => tokenCrowd.enter(sidOf(access_token))));
    const places = await Promise.all(times(2, () => crowd.enter(who.id)));
    const refused = await crowded.send("GET", "/org/documents", { token: access_token });
    expectProblem(refused, { status: 429, type: "rate_limited", path: "/org/documents" });
    expect((await crowded.send("POST", "/admin/logout-all", { token: who.token })).status).toBe(204);
    expect((await crowded.send("GET", "/org/documents", { token: access_token })).status).toBe(401);
    for (const leave of [...leaves, ...places]) leave!();
  });
});

test("what is refused for its number is counted in the record, and does not hide who was refused with it", async () => {
  const address = freshAddress();
  const narrow = await makeOperatorKey(service.db, ["moves:write"]);
  const ask = (method: string, path: string, token: string) =>
    service.send(method, path, { token, headers: from(address), ...(method === "POST" && { body: {} }) });
  const elsewhere = { token: narrow, headers: from(freshAddress()) };
  expect((await service.send("GET", "/platform/organizations", elsewhere)).status).toBe(403);
  for (const index of times(12, (at) => at)) await ask("GET", "/admin/me", `e30.e30.${index}`);
  expect((await ask("GET", "/platform/organizations", makeKeyText().key)).status).toBe(429);
  const { status } = await ask("GET", "/platform/organizations", narrow);
  expect(status).toBe(429);
  await Promise.all(times(20, () => signIn(newcomer().email, address)));
  await service.running.deps.audit.flush();
  const key = await makeOperatorKey(service.db);
  const { body } = await service.send("GET", "/platform/audit?limit=200&act=access.refused", { token: key });
  const here = (
    body.entries as { address: string; who: { kind: string; id: string | null }; details: Record<string, unknown> }[]
  ).filter((entry) => entry.address === address);
  // 12 tokens, a key that nobody has, one that is in use, and 5 of 20 sign-ins.
  expect(here.reduce((sum, { details }) => sum + Number(details.count ?? 1), 0)).toBe(19);
  const named = here.filter(({ who }) => who.kind === "operator");
  expect(named.map(({ who, details }) => [who.id, details.code])).toEqual([[readKeyId(narrow), "scope_missing"]]);
});
