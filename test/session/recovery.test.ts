import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { createHash } from "node:crypto";
import { ObjectId } from "mongodb";
import * as adminStore from "../../src/admin/store.ts";
import { createApp } from "../../src/app.ts";
import { auditEntries } from "../../src/audit/store.ts";
import { createExpiryChore } from "../../src/expiry.ts";
import { createLogger } from "../../src/log.ts";
import { driveAbandoned } from "../../src/operation/drive.ts";
import type { Operation, StepMoment } from "../../src/operation/operation.ts";
import { findOpen } from "../../src/operation/store.ts";
import { hashRecoveryToken, makeRecoveryToken } from "../../src/session/token/recovery-token.ts";
import { croupier } from "../support/command.ts";
import { type Child, startChild } from "../support/crash.ts";
import { useOperatorKey } from "../support/operator.ts";
import { expectProblem } from "../support/problem.ts";
import { type Answer, newcomer, readAnswer, send, useService } from "../support/service.ts";
import { isLetIn, refreshAt, signInTo } from "../support/session.ts";

setDefaultTimeout(60_000);
const service = useService();
const operatorKey = useOperatorKey(service);
const path = "/admin/recovery";
const newPassword = "Recovered-Horse-8";
type Who = Awaited<ReturnType<typeof service.join>>;

const admins = () => service.db.collection("admin_users");
const stored = (who: Pick<Who, "id">) => admins().findOne({ organization_id: who.id });
const offer = (id: string) => service.send("POST", `/platform/organizations/${id}/recovery`, { token: operatorKey() });
const use = (token: string, password = newPassword) => service.send("POST", path, { body: { token, password } });
const statusOfSignIn = async (who: Pick<Who, "email">, password: string) =>
  (await service.send("POST", "/admin/login", { body: { email: who.email, password } })).status;
const begin = async (): Promise<{ who: Who; token: string }> => {
  const who = await service.join();
  const { status, body } = await offer(who.id);
  expect(status).toBe(201);
  return { who, token: body.token };
};
const isVoid = (answer: Answer) => expectProblem(answer, { status: 401, type: "recovery_token_invalid", path });
const operator = (act: string, who: Who, body?: object) =>
  service.send("POST", `/platform/organizations/${who.id}/${act}`, { token: operatorKey(), ...(body && { body }) });

describe("a recovery token", () => {
  test("sets a new password once, ends all sessions and tokens of the admin, and signs nobody in", async () => {
    const { who, token } = await begin();
    expect(token).toMatch(/^crv_[\w-]{43}$/);
    const session = await signInTo(service, who);
    const answer = await use(token);
    expect([answer.status, answer.text]).toEqual([204, ""]);
    expect([await statusOfSignIn(who, who.password), await statusOfSignIn(who, newPassword)]).toEqual([401, 200]);
    expect([await isLetIn(service, who.token), await isLetIn(service, session.access_token)]).toEqual([false, false]);
    expect((await refreshAt(service, session.refresh_token)).status).toBe(401);
    isVoid(await use(token, "Another-Horse-9"));
    expect(await statusOfSignIn(who, newPassword)).toBe(200);
    expect(await stored(who)).not.toHaveProperty("recovery");
  });

  test("is answered to the operator with whose it is and when it ends, and stored as a hash only", async () => {
    const who = await service.join();
    const { status, headers, body } = await offer(who.id);
    expect([status, headers.get("cache-control")]).toEqual([201, "no-store"]);
    const { organization_name } = who;
    expect(body).toEqual({
      organization_id: who.id,
      organization_name,
      token: expect.any(String),
      link: null,
      expires_at: expect.any(String),
    });
    const minutes = (Date.parse(body.expires_at) - Date.now()) / 60_000;
    expect(Math.round(minutes)).toBe(30);
    const text = JSON.stringify(await stored(who));
    expect(text).toContain(hashRecoveryToken(body.token)!);
    for (const secret of [body.token, body.token.slice(4)]) expect(text).not.toContain(secret);
  });

  test("is void after 30 minutes, by the database's clock, and is then swept", async () => {
    const { who, token } = await begin();
    await admins().updateOne(
      { organization_id: who.id },
      { $set: { "recovery.expires_at": new Date(Date.now() - 1) } },
    );
    isVoid(await use(token));
    expect(await statusOfSignIn(who, who.password)).toBe(200);
    const { token: fresh, who: other } = await begin();
    const hourAgo = { $set: { "recovery.expires_at": new Date(Date.now() - 3_600_000) } };
    await admins().updateOne({ organization_id: who.id }, hourAgo);
    await createExpiryChore(service.running.deps)();
    const { recovery, ...rest } = (await stored(who))!;
    expect([recovery, rest.email]).toEqual([undefined, who.email]);
    expect(await stored(other)).toHaveProperty("recovery");
    expect((await use(fresh)).status).toBe(204);
  });

  test("is void after a newer one, which is good", async () => {
    const { who, token } = await begin();
    const { body } = await offer(who.id);
    isVoid(await use(token));
    expect((await use(body.token)).status).toBe(204);
  });

  test.each([
    ["a new password", { password: "Changed-Horse-8" }],
    ["a new email", { email: "recovery-moved@example.com" }],
    ["both and a new name", { password: "Changed-Horse-8", email: "both@example.com", organization_name: "both-new" }],
  ])("is void after %s", async (_name, body) => {
    const { who, token } = await begin();
    expect((await service.send("PUT", "/org/update", { token: who.token, body })).status).toBe(200);
    isVoid(await use(token));
    expect(await stored(who)).not.toHaveProperty("recovery");
  });

  test("is void after an operator has ended all tokens, and a newer one is good", async () => {
    const { who, token } = await begin();
    expect((await operator("revoke-tokens", who)).status).toBe(204);
    isVoid(await use(token));
    expect(await stored(who)).not.toHaveProperty("recovery");
    expect((await use((await offer(who.id)).body.token)).status).toBe(204);
  });

  test("is still good after the organization was renamed", async () => {
    const { who, token } = await begin();
    const renamed = { token: who.token, body: { organization_name: `${who.organization_name}-x` } };
    expect((await service.send("PUT", "/org/update", renamed)).status).toBe(200);
    expect((await use(token)).status).toBe(204);
    expect(await statusOfSignIn(who, newPassword)).toBe(200);
  });

  test("is void with the organization that is deleted, or about to be", async () => {
    const [{ who, token }, leaving] = [await begin(), await begin()];
    expect((await service.send("DELETE", "/org/delete", { token: who.token })).status).toBe(204);
    isVoid(await use(token));
    const filter = { organization_name: leaving.who.organization_name };
    await service.db.collection("organizations").updateOne(filter, { $set: { status: "deleting" } });
    isVoid(await use(leaving.token));
    expectProblem(await offer(who.id), {
      status: 404,
      type: "organization_not_found",
      path: `/platform/organizations/${who.id}/recovery`,
    });
  });

  test("is refused while the organization is suspended, and neither made nor used up then", async () => {
    const { who, token } = await begin();
    await operator("suspend", who, {});
    expectProblem(await use(token), { status: 403, type: "organization_suspended", path });
    const refused = await offer(who.id);
    expect([refused.status, refused.body.type]).toEqual([403, "urn:croupier:problem:organization_suspended"]);
    await operator("reactivate", who);
    expect((await use(token)).status).toBe(204);
    expect(await statusOfSignIn(who, newPassword)).toBe(200);
  });

  test("is refused outside the organization's allow-list, and not used up then", async () => {
    const { who, token } = await begin();
    const list = (cidrs: string[]) =>
      service.send("PUT", `/platform/organizations/${who.id}/allow-list`, { token: operatorKey(), body: { cidrs } });
    await list(["192.0.2.0/24"]);
    expectProblem(await use(token), { status: 403, type: "address_not_allowed", path });
    await list([]);
    expect((await use(token)).status).toBe(204);
  });

  test("is not used up by a password that may not be one", async () => {
    const { token } = await begin();
    const answer = await use(token, "short");
    expectProblem(answer, { status: 422, type: "invalid_request", pointers: ["#/password"], path });
    expect((await use(token)).status).toBe(204);
  });

  test("is answered alike whatever is wrong with it, and no password is hashed for it", async () => {
    const [used, replaced, late, gone] = [await begin(), await begin(), await begin(), await begin()];
    await use(used.token);
    await offer(replaced.who.id);
    await admins().updateOne({ organization_id: late.who.id }, { $set: { "recovery.expires_at": new Date(0) } });
    await service.send("DELETE", "/org/delete", { token: gone.who.token });
    const { deps } = service.running;
    let hashed = 0;
    const passwords = { ...deps.passwords, hash: (text: string) => (hashed++, deps.passwords.hash(text)) };
    const app = createApp({ ...deps, passwords });
    const ask = async (token: string) => {
      const body = JSON.stringify({ token, password: newPassword });
      const init = { method: "POST", headers: { "content-type": "application/json" }, body };
      return await readAnswer(await app.request(path, init));
    };
    const tokens = [makeRecoveryToken(), "x", used.token, replaced.token, late.token, gone.token];
    const answers: Answer[] = [];
    for (const token of tokens) answers.push(await ask(token));
    for (const { status, headers, body } of answers) {
      const { request_id: _, ...rest } = body;
      expect([status, rest, headers.get("www-authenticate")]).toEqual([
        401,
        { ...answers[0]!.body, request_id: undefined },
        "Bearer",
      ]);
    }
    expect(hashed).toBe(0);
  });

  describe("wins over what a token of before has asked for:", () => {
    /** A request for these changes, while which the token is used at a moment of the operation. */
    const change = async (body: object, when: string, meanwhile = async (token: string) => void (await use(token))) => {
      const { who, token } = await begin();
      let isOver = false;
      const onStep = async ({ kind, step }: Operation, moment: StepMoment) => {
        if (isOver || `${kind}/${step}/${moment}` !== when) return;
        isOver = true;
        await meanwhile(token);
      };
      const headers = { "content-type": "application/json", authorization: `Bearer ${who.token}` };
      const init = { method: "PUT", headers, body: JSON.stringify(body) };
      const app = createApp({ ...service.running.deps, onStep });
      const answer = await readAnswer(await app.request("/org/update", init));
      expect(isOver).toBe(true);
      return { who, answer };
    };
    const recorded = async ({ id }: Who) => {
      await service.running.deps.audit.flush();
      const acts = ["admin.email", "admin.password", "organization.rename"] as const;
      const entries = await auditEntries(service.db)
        .find({ chain: id, act: { $in: [...acts] } })
        .toArray();
      return entries.map(({ act, outcome }) => `${act} ${outcome}`).sort();
    };
    const organizationOf = ({ id }: Who) => service.db.collection("organizations").findOne({ _id: new ObjectId(id) });

    test.each([
      ["a new email", { email: "thief-1@example.com" }, ["admin.email failure"]],
      ["a new password", { password: "Thief-Horse-1" }, ["admin.password failure"]],
      ["a new name", { organization_name: "thief-1" }, ["organization.rename failure"]],
      [
        "all of them",
        { email: "thief-2@example.com", password: "Thief-Horse-1", organization_name: "thief-2" },
        ["admin.email failure", "admin.password failure", "organization.rename failure"],
      ],
    ])("%s is refused whole, is on record as refused, and what it claimed is free", async (_name, body, told) => {
      const { who, answer } = await change(body, "update/email/after");
      expectProblem(answer, { status: 401, type: "token_invalid", reason: "ended", path: "/org/update" });
      expect(await recorded(who)).toEqual(told);
      const { email, email_keys, organization_name } = (await stored(who))!;
      expect([email, email_keys, organization_name]).toEqual([who.email, [who.email], who.organization_name]);
      const organization = await organizationOf(who);
      expect([organization?.email, organization?.organization_name]).toEqual([who.email, who.organization_name]);
      expect(await statusOfSignIn(who, newPassword)).toBe(200);
      const next = { ...newcomer("next"), ...body };
      expect((await service.send("POST", "/org/create", { body: next })).status).toBe(201);
    });

    test.each([
      ["without", {}, []],
      ["with", { organization_name: "too-late" }, ["organization.rename success"]],
    ])(
      "at the last moment the password stays, and isn't on record as changed, %s a new name",
      async (_n, name, told) => {
        const email = `late${told.length}@example.com`;
        const asked = { email, password: "Thief-Horse-1", ...name };
        const { who, answer } = await change(asked, "update/organization/after");
        expect(answer.status).toBe(200);
        expect(await recorded(who)).toEqual(["admin.email success", ...told]);
        expect([
          await statusOfSignIn({ email }, "Thief-Horse-1"),
          await statusOfSignIn({ email }, newPassword),
        ]).toEqual([401, 200]);
      },
    );

    test("a new password that was written before it is on record, though its driver died before it could say so", async () => {
      const { who, answer } = await change({ password: "First-Horse-1" }, "update/admin/after", async () => {
        throw new Error("died");
      });
      expect(answer.status).toBe(503);
      expect((await use((await offer(who.id)).body.token)).status).toBe(204);
      const organization_id = new ObjectId(who.id);
      while (await findOpen(service.db, organization_id))
        await driveAbandoned(service.running.deps, 10_000, undefined, { organization_id });
      expect(await recorded(who)).toEqual(["admin.password success"]);
      expect(await statusOfSignIn(who, newPassword)).toBe(200);
    });
  });

  test("wins over a new password that somebody with the old one has asked for before: only the other changes are made", async () => {
    const { who, token } = await begin();
    const admin = (await stored(who))!;
    const guard = Number(admin.guard ?? 0);
    await admins().updateOne({ _id: admin._id }, { $set: { guard } });
    expect((await use(token)).status).toBe(204);
    const email = `late-${who.email}`;
    const changes = { password: "of-a-thief", email, email_keys: [email], updated_at: new Date() };
    const asked = { kept: "a token", keptSession: null, gen: 0, by: new ObjectId() };
    await adminStore.writePassword(service.db, { id: admin._id, guard }, changes, asked);
    const after = (await stored(who))!;
    expect([after.password === "of-a-thief", after.email, after.tokens.generation]).toEqual([false, email, 1]);
    const { access_token } = await signInTo(service, { email, password: newPassword });
    const change = { token: access_token, body: { password: "Another-Horse-9" } };
    expect((await service.send("PUT", "/org/update", change)).status).toBe(200);
    expect(await statusOfSignIn({ email }, "Another-Horse-9")).toBe(200);
  });
});

test("making and using a recovery token, and what is refused of it, are on record, and the token is in no record and no log", async () => {
  const lines: string[] = [];
  const log = createLogger("trace", { write: (line) => void lines.push(line) });
  const { deps } = service.running;
  const app = createApp({ ...deps, log });
  const ask = async (to: string, body: object | undefined, token?: string) => {
    const headers = { "content-type": "application/json", ...(token && { authorization: `Bearer ${token}` }) };
    return await readAnswer(
      await app.request(to, { method: "POST", headers, ...(body && { body: JSON.stringify(body) }) }),
    );
  };
  const who = await service.join();
  const { token } = (await ask(`/platform/organizations/${who.id}/recovery`, undefined, operatorKey())).body;
  await operator("suspend", who, {});
  await ask(path, { token, password: newPassword });
  await operator("reactivate", who);
  expect((await ask(path, { token, password: newPassword })).status).toBe(204);
  await ask(path, { token, password: newPassword });
  await deps.audit.flush();
  const entries = await auditEntries(service.db)
    .find({ $or: [{ chain: who.id }, { "details.code": "recovery_token_invalid" }] } as never)
    .toArray();
  const adminId = (await stored(who))!._id.toHexString();
  const told = entries
    .map(
      ({ act, outcome, who: by, details }) =>
        `${act} ${outcome} ${by.kind} ${details.code ?? details.admin_id ?? by.id}`,
    )
    .filter((line) => /recovery|refused/.test(line));
  expect(told).toContain(`recovery.create success operator ${adminId}`);
  expect(told).toContain("access.refused refused admin organization_suspended");
  expect(told).toContain(`recovery.use success admin ${adminId}`);
  expect(told).toContain("access.refused refused anonymous recovery_token_invalid");
  const all =
    JSON.stringify(entries) + JSON.stringify(await auditEntries(service.db).find().toArray()) + lines.join("");
  for (const secret of [token, token.slice(4), newPassword, who.email]) expect(all).not.toContain(secret);
});

describe("processes beside each other", () => {
  let one: Child;
  beforeAll(async () => {
    one = await startChild({ databaseName: service.db.databaseName });
  }, 60_000);
  afterAll(async () => {
    await one?.end();
  });

  test("of those who use one recovery token at once in two processes exactly one sets the password", async () => {
    for (let round = 0; round < 4; round++) {
      const { who, token } = await begin();
      const passwords = Array.from({ length: 8 }, (_, n) => `Recovered-Horse-${n}`);
      const answers = await Promise.all(
        passwords.map((password, n) =>
          send(n % 2 ? one.url : service.url, "POST", path, { body: { token, password } }),
        ),
      );
      expect(answers.filter(({ status }) => status === 204).length).toBe(1);
      for (const answer of answers) if (answer.status !== 204) isVoid(answer);
      const won = passwords[answers.findIndex(({ status }) => status === 204)]!;
      for (const password of passwords) {
        expect(await statusOfSignIn(who, password)).toBe(password === won ? 200 : 401);
      }
    }
  });

  test.each(["when it is noted", "after its write"])(
    "a process that is killed in a recovery, %s, has set the new password and used the token up, or neither, and not without a record",
    async (moment) => {
      const { who, token } = await begin();
      const noted = { chain: who.id, act: "recovery.use" };
      const pending = () => service.db.collection("audit_pending").findOne(noted);
      const killWhen = async () =>
        (await pending()) !== null && (moment === "when it is noted" || !(await stored(who))?.recovery);
      const dying = await startChild({ databaseName: service.db.databaseName, killWhen });
      await send(dying.url, "POST", path, { body: { token, password: newPassword } }).catch(() => null);
      await dying.died;
      const isSet = (await statusOfSignIn(who, newPassword)) === 200;
      if (moment === "after its write") expect(isSet).toBe(true);
      expect(await statusOfSignIn(who, who.password)).toBe(isSet ? 401 : 200);
      expect(await isLetIn(service, who.token)).toBe(!isSet);
      const recorded = (await pending()) ?? (await auditEntries(service.db).findOne(noted as never));
      expect(recorded).not.toBeNull();
      expect((await use(token, "Afterwards-Horse-9")).status).toBe(isSet ? 401 : 204);
      console.log(`killed ${moment}: ${isSet ? "the new" : "the old"} password holds`);
    },
  );
});

describe("croupier recover", () => {
  const run = (email: string, settings: Record<string, string> = {}) =>
    croupier(service.db.databaseName, ["recover", email], settings);

  test("croupier recover prints a token that sets a new password, and beside it whose it is", async () => {
    const who = await service.join();
    const { code, out, errors } = await run(who.email.toUpperCase());
    expect([code, out]).toEqual([0, expect.stringMatching(/^crv_[\w-]{43}\n$/)]);
    expect(JSON.parse(errors)).toEqual({
      organization_id: who.id,
      organization_name: who.organization_name,
      expires_at: expect.any(String),
    });
    expect((await use(out.trim())).status).toBe(204);
    expect(await statusOfSignIn(who, newPassword)).toBe(200);
  });

  test("croupier recover prints a link where it is known how the service is reached", async () => {
    const who = await service.join();
    const { out } = await run(who.email, { PUBLIC_ORIGIN: "https://api.example" });
    const [, token] = /^https:\/\/api\.example\/admin\/recovery#(crv_[\w-]{43})\n$/.exec(out)!;
    expect((await use(token!)).status).toBe(204);
  });

  test("croupier recover says that there is no such admin, and that an organization is suspended", async () => {
    const who = await service.join();
    await operator("suspend", who, {});
    expect(await run("nobody@example.com")).toMatchObject({ code: 1, out: "", errors: "There is no such admin.\n" });
    expect(await run(who.email)).toMatchObject({ code: 1, out: "", errors: expect.stringContaining("suspended") });
  });
});

test("the page of a recovery link runs its own script, asks once however often it is clicked, sends nothing anywhere else, and is kept by nobody", async () => {
  const { status, headers, text } = await service.send("GET", path);
  expect([status, headers.get("cache-control")]).toEqual([200, "no-store"]);
  expect(headers.get("content-type")).toStartWith("text/html");
  const [, script = ""] = /<script>([^]*?)<\/script>/.exec(text)!;
  const hash = createHash("sha256").update(script).digest("base64");
  const policy = headers.get("content-security-policy")!;
  for (const part of [
    "default-src 'none'",
    `script-src 'sha256-${hash}'`,
    "connect-src 'self'",
    "form-action 'none'",
  ]) {
    expect(policy).toContain(part);
  }
  expect(text.match(/<script/g)).toHaveLength(1);
  expect(headers.get("referrer-policy")).toBe("no-referrer");

  // As a browser would run it.
  const { who, token } = await begin();
  let submit: (event: object) => Promise<void> = async () => {};
  let isThere = true;
  const form = {
    elements: { password: { value: "short" } },
    addEventListener: (_name: string, listener: typeof submit) => (submit = listener),
    remove: () => (isThere = false),
  };
  const said = { textContent: "" };
  const button = { disabled: false };
  const parts: Record<string, object> = { form, button, output: said };
  const document = { querySelector: (what: string) => parts[what] };
  const asked: string[] = [];
  const ask = (to: string, init: RequestInit) => (asked.push(to), fetch(service.url + to, init));
  /** A browser submits nothing by a button that is disabled. */
  const click = async () => void (button.disabled || (await submit({ preventDefault() {} })));
  new Function("document", "location", "fetch", script)(document, { hash: `#${token}`, pathname: path }, ask);
  await click();
  expect([said.textContent, isThere]).toEqual([expect.stringContaining("8 or more characters"), true]);
  form.elements.password.value = newPassword;
  await Promise.all([click(), click()]);
  expect([said.textContent, isThere]).toEqual([expect.stringContaining("is set"), false]);
  expect(asked).toEqual([path, path]);
  expect(await statusOfSignIn(who, newPassword)).toBe(200);
});
