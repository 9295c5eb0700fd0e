import { beforeAll, describe, expect, test } from "bun:test";
import type { PasswordHasher } from "../../src/admin/password-hasher.ts";
import { createApp } from "../../src/app.ts";
import { expectProblem } from "../support/problem.ts";
import { goodPassword, newcomer, readAnswer, useService } from "../support/service.ts";

const service = useService({ PASSWORD_WORKERS: "2" });
const signIn = (email: string, password: string) => service.send("POST", "/admin/login", { body: { email, password } });
const admins = () => service.db.collection("admin_users");
const setHash = (email: string, password: unknown) => admins().updateOne({ email }, { $set: { password } });
const hashOf = async (email: string): Promise<string> => (await admins().findOne({ email }))!.password;
const bcrypt = (password: string | Uint8Array, cost: number) =>
  Bun.password.hashSync(password, { algorithm: "bcrypt", cost });

describe("a sign-in", () => {
  type Check = { password: string; hash: string | null };
  let checks: Check[];
  let ask: (email: string, password: string) => Promise<{ status: number; checks: Check[] }>;
  beforeAll(() => {
    const { deps } = service.running;
    const passwords: PasswordHasher = {
      ...deps.passwords,
      matches: (password, hash) => {
        checks.push({ password, hash });
        return deps.passwords.matches(password, hash);
      },
    };
    const app = createApp({ ...deps, passwords });
    ask = async (email, password) => {
      checks = [];
      const answer = await app.request("/admin/login", {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ email, password }),
      });
      return { status: (await readAnswer(answer)).status, checks };
    };
  });

  test("a sign-in checks one password, whether the email is known or not", async () => {
    const who = await service.join();
    const password = "Wrong-Horse-7";
    const hash = await hashOf(who.email);
    expect(await ask(who.email, password)).toEqual({ status: 401, checks: [{ password, hash }] });
    expect(await ask("nobody@example.com", password)).toEqual({ status: 401, checks: [{ password, hash: null }] });
  });

  test("checks one password as for nobody when the organization is hidden, gone or damaged", async () => {
    for (const change of [
      (id: string) => service.db.collection("organizations").updateOne({ email: id }, { $set: { status: "deleting" } }),
      (id: string) =>
        service.db.collection("organizations").updateOne({ email: id }, { $set: { status: "provisioning" } }),
      (id: string) => service.db.collection("organizations").deleteOne({ email: id }),
      (id: string) => admins().updateOne({ email: id }, { $set: { organization_id: "no id" } }),
      (id: string) => admins().updateOne({ email: id }, { $unset: { organization_id: "" } }),
    ]) {
      const who = await service.join();
      await change(who.email);
      const asked = await ask(who.email, who.password);
      expect(asked).toEqual({ status: 401, checks: [{ password: who.password, hash: null }] });
    }
  });
});

describe("a check of a password", () => {
  // The second as after the rounds were lowered: there are hashes of more than are configured.
  test.each([
    ["no hash, a malformed one and one of fewer rounds as for a full one", 10, "b"],
    ["all of them as for one of more rounds than configured, once there was one", 6, "b"],
    ["all of them with one that may have been typed in two ways", 10, "é".normalize("NFD")],
  ])("a check of a password costs as much for %s", async (_name, rounds, typed) => {
    const { createPasswordHasher } = await import("../../src/admin/password-hasher.ts");
    const passwords = createPasswordHasher({
      program: new URL("../../src/admin/password-worker.ts", import.meta.url),
      workers: 1,
      queueMax: 100,
      rounds,
    });
    const hashes = {
      full: bcrypt("a", 10),
      none: null,
      malformed: "plain text",
      fewer: bcrypt("a", 6),
    };
    // Time on the processor, which other work on the machine doesn't change; the least of several, for what the runtime adds.
    const leastMs: Record<string, number> = {};
    for (let round = 0; round < 4; round++) {
      for (const [name, hash] of Object.entries(hashes)) {
        const before = process.cpuUsage();
        expect(await passwords.matches(typed, hash)).toBe(false);
        leastMs[name] = Math.min(leastMs[name] ?? Infinity, process.cpuUsage(before).user / 1_000);
      }
    }
    passwords.close();
    for (const name of ["none", "malformed", "fewer"]) {
      expect(leastMs[name]! / leastMs.full!).toBeGreaterThan(0.7);
      expect(leastMs[name]! / leastMs.full!).toBeLessThan(2);
    }
  });
});

describe("a password", () => {
  test("typed decomposed is the one typed composed, at creation and at sign-in", async () => {
    const composed = "Éléphant-Ångström-7";
    expect(composed.normalize("NFD")).not.toBe(composed);
    for (const [made, typed] of [
      [composed, composed.normalize("NFD")],
      [composed.normalize("NFD"), composed],
    ] as const) {
      const who = { ...newcomer(), password: made };
      expect((await service.send("POST", "/org/create", { body: who })).status).toBe(201);
      expect((await signIn(who.email, typed)).status).toBe(200);
      expect((await signIn(who.email, made)).status).toBe(200);
    }
  });

  test("changed in decomposed form signs in composed", async () => {
    const who = await service.join();
    const password = "Zoë-Horse-7";
    await service.send("PUT", "/org/update", { token: who.token, body: { password: password.normalize("NFD") } });
    expect((await signIn(who.email, password.normalize("NFC"))).status).toBe(200);
  });

  test("that the first Croupier hashed decomposed, as it was typed, still signs in", async () => {
    const who = await service.join();
    const typed = "Éléphant-7".normalize("NFD");
    await setHash(who.email, bcrypt(new TextEncoder().encode(typed), 4));
    expect((await signIn(who.email, typed)).status).toBe(200);
    expect((await signIn(who.email, `${typed}x`)).status).toBe(401);
  });

  test("of more than 72 bytes that the first Croupier cut off there still signs in", async () => {
    const who = await service.join();
    const long = `Aa1${"x".repeat(200)}`;
    await setHash(who.email, bcrypt(new TextEncoder().encode(long).subarray(0, 72), 4));
    expect((await signIn(who.email, long)).status).toBe(200);
    expect((await signIn(who.email, long.slice(0, 72))).status).toBe(200);
    expect((await signIn(who.email, long.slice(0, 71))).status).toBe(401);
  });

  test("of more than 72 bytes, cut within a character, still signs in", async () => {
    const who = await service.join();
    const long = `Aa1${"é".repeat(80)}`;
    await setHash(who.email, bcrypt(new TextEncoder().encode(long).subarray(0, 72), 4));
    expect((await signIn(who.email, long)).status).toBe(200);
  });
});

describe("a hash", () => {
  test.each(["$2a$", "$2b$", "$2y$"])("that starts with %s is read", async (prefix) => {
    const who = await service.join();
    await setHash(who.email, prefix + bcrypt(goodPassword, 4).slice(4));
    expect((await signIn(who.email, goodPassword)).status).toBe(200);
    expect((await signIn(who.email, "Wrong-Horse-7")).status).toBe(401);
  });

  test("of Python's bcrypt at 12 rounds is read", async () => {
    const who = await service.join();
    await setHash(who.email, "$2b$12$EixZaYVK1fsbw1ZfbX3OXePaWxn96p36WQoeG6Lruj3vjPGga31lW");
    expect((await signIn(who.email, "secret")).status).toBe(200);
    expect(await hashOf(who.email)).toStartWith("$2b$12$");
  });

  test.each([
    ["empty", ""],
    ["no text", null],
    ["a number", 42],
    ["an object", { $ne: 1 }],
    ["a list", ["$2b$04$"]],
    ["the password itself", goodPassword],
    ["of another kind", "$argon2id$v=19$m=65536,t=2,p=1$c2FsdHNhbHQ$aGFzaA"],
    ["cut off", bcrypt(goodPassword, 4).slice(0, -1)],
    ["too long", `${bcrypt(goodPassword, 4)}x`],
    ["ending in a newline", `${bcrypt(goodPassword, 4)}\n`],
    ["of 99 rounds", `$2b$99$${bcrypt(goodPassword, 4).slice(7)}`],
    ["of 3 rounds", `$2b$03$${bcrypt(goodPassword, 4).slice(7)}`],
    ["with letters that bcrypt doesn't write", `$2b$04$${"z".repeat(53)}`],
    ["of the broken kind $2x$", `$2x$${bcrypt(goodPassword, 4).slice(4)}`],
  ])("that is %s matches nothing, and is answered as a wrong password", async (_what, hash) => {
    const who = await service.join();
    await setHash(who.email, hash);
    for (const password of [goodPassword, String(hash) || "x"]) {
      const answer = await signIn(who.email, password);
      expectProblem(answer, { status: 401, type: "credentials_incorrect", path: "/admin/login" });
    }
    expect((await admins().findOne({ email: who.email }))!.password).toEqual(hash);
  });
});

describe("rounds that were raised", () => {
  const raised = useService({ BCRYPT_ROUNDS: "6" });

  test("a hash of fewer rounds is renewed at the next right sign-in, not at a wrong one, and goes on signing in", async () => {
    const who = newcomer();
    const ask = (password: string) => raised.send("POST", "/admin/login", { body: { email: who.email, password } });
    const stored = async () => (await raised.db.collection("admin_users").findOne({ email: who.email }))!.password;
    await raised.send("POST", "/org/create", { body: who });
    expect(await stored()).toStartWith("$2b$06$");
    const old = bcrypt(who.password, 4);
    await raised.db.collection("admin_users").updateOne({ email: who.email }, { $set: { password: old } });
    expect((await ask("Wrong-Horse-7")).status).toBe(401);
    expect(await stored()).toBe(old);
    expect((await ask(who.password)).status).toBe(200);
    const renewed = await stored();
    expect(renewed).toStartWith("$2b$06$");
    expect((await ask(who.password)).status).toBe(200);
    expect(await stored()).toBe(renewed);
  });

  test("leave a hash of more as it is", async () => {
    const who = newcomer();
    await raised.send("POST", "/org/create", { body: who });
    const more = bcrypt(who.password, 8);
    await raised.db.collection("admin_users").updateOne({ email: who.email }, { $set: { password: more } });
    const answer = await raised.send("POST", "/admin/login", { body: { email: who.email, password: who.password } });
    expect(answer.status).toBe(200);
    expect((await raised.db.collection("admin_users").findOne({ email: who.email }))!.password).toBe(more);
  });
});

describe("more sign-ins than may wait", () => {
  const small = useService({ PASSWORD_WORKERS: "1", PASSWORD_QUEUE_MAX: "3", BCRYPT_ROUNDS: "9" });

  test("more sign-ins than may wait are refused with when to come back; those that wait succeed, as do requests without a password", async () => {
    const who = await small.join();
    const asked = Array.from({ length: 12 }, () =>
      small.send("POST", "/admin/login", { body: { email: who.email, password: who.password } }),
    );
    const others = [
      small.send("GET", "/health"),
      small.send("GET", `/org/get?organization_name=${who.organization_name}`),
      small.send("PUT", "/org/update", { token: who.token, body: { email: newcomer().email } }),
    ];
    expect((await Promise.all(others)).map(({ status }) => status)).toEqual([200, 200, 200]);
    const answers = await Promise.all(asked);
    const refused = answers.filter(({ status }) => status !== 200);
    // One is being worked on and three wait; more only if some were done while others were still on their way.
    expect(answers.length - refused.length).toBeGreaterThanOrEqual(4);
    expect(refused.length).toBeGreaterThanOrEqual(1);
    for (const answer of refused) {
      expectProblem(answer, { status: 503, type: "passwords_busy", path: "/admin/login" });
    }
    const again = await small.send("POST", "/admin/login", { body: { email: "nobody@example.com", password: "x" } });
    expect(again.status).toBe(401);
  });

  test("refuse creates and changes of a password too, which leave nothing behind", async () => {
    const who = await small.join();
    const wanted = Array.from({ length: 12 }, () => newcomer("busy"));
    const answers = await Promise.all(wanted.map((body) => small.send("POST", "/org/create", { body })));
    const refused = wanted.filter((_, n) => answers[n]!.status !== 201);
    expect(refused.length).toBeGreaterThanOrEqual(1);
    for (const answer of answers.filter(({ status }) => status !== 201)) {
      expectProblem(answer, { status: 503, type: "passwords_busy", path: "/org/create" });
    }
    for (const { organization_name, email } of refused) {
      expect(await small.db.collection("organizations").countDocuments({ organization_name })).toBe(0);
      expect(await small.db.collection("admin_users").countDocuments({ email })).toBe(0);
    }
    const changes = await Promise.all(
      Array.from({ length: 12 }, () =>
        small.send("PUT", "/org/update", { token: who.token, body: { password: "Another-Horse-8" } }),
      ),
    );
    for (const { status } of changes) expect([200, 503]).toContain(status);
  });
});
