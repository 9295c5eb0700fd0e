import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { randomUUID } from "node:crypto";
import { ObjectId } from "mongodb";
import { cleanUserAgent, sessionsMax } from "../../src/session/session.ts";
import { expectProblem } from "../support/problem.ts";
import { useService } from "../support/service.ts";
import { isLetIn, refreshAt, sidOf, signInTo } from "../support/session.ts";
import { makeToken, readClaims } from "../support/token.ts";

setDefaultTimeout(30_000);
const service = useService({ TRUSTED_PROXIES: "1", REFRESH_LEEWAY_SECONDS: "0" });
const lets = (token: string) => isLetIn(service, token);
const list = async (token: string): Promise<Record<string, any>[]> => {
  const { status, body } = await service.send("GET", "/admin/sessions", { token });
  expect(status).toBe(200);
  return body.sessions;
};
const end = (token: string, id: string) => service.send("DELETE", `/admin/sessions/${id}`, { token });
const collection = () => service.db.collection<{ _id: string; [field: string]: unknown }>("sessions");

describe("GET /admin/sessions", () => {
  test("an admin sees the own sessions, the latest used first, with where they were used from", async () => {
    const who = await service.join();
    await service.join();
    const from = { "x-forwarded-for": "203.0.113.9", "user-agent": "Browser/1.0 (a laptop)" };
    const laptop = await signInTo(service, who, from);
    const phone = await signInTo(service, who, { "x-forwarded-for": "2001:db8::7", "user-agent": "Phone" });
    const listed = await list(laptop.access_token);
    expect(listed.map(({ id, current }) => ({ id, current }))).toEqual([
      { id: sidOf(phone.access_token), current: false },
      { id: sidOf(laptop.access_token), current: true },
      { id: sidOf(who.token), current: false },
    ]);
    const { created_at, last_used_at, expires_at, ...rest } = listed[1]!;
    expect(rest).toEqual({
      id: sidOf(laptop.access_token),
      address: "203.0.113.9",
      user_agent: "Browser/1.0 (a laptop)",
      current: true,
    });
    expect(created_at).toBe(last_used_at);
    expect(Date.parse(expires_at) - Date.parse(created_at)).toBe(30 * 86_400_000);
    expect(listed[0]!.address).toBe("2001:db8:0:0:0:0:0:7");

    await refreshAt(service, laptop.refresh_token, { "x-forwarded-for": "203.0.113.10", "user-agent": "Browser/1.1" });
    const [first] = await list(laptop.access_token);
    expect(first).toMatchObject({ id: rest.id, created_at, address: "203.0.113.10", user_agent: "Browser/1.1" });
    expect(Date.parse(first!.last_used_at)).toBeGreaterThan(Date.parse(created_at));
  });

  test("shows none that was ended or that a new password has ended, and nothing that is secret", async () => {
    const who = await service.join();
    const [out, other] = [await signInTo(service, who), await signInTo(service, who)];
    await service.send("POST", "/admin/logout", { token: out.access_token });
    expect((await list(who.token)).map(({ id }) => id)).toEqual([sidOf(other.access_token), sidOf(who.token)]);
    await service.send("PUT", "/org/update", { token: who.token, body: { password: "Another-Horse-8" } });
    const listed = await list(who.token);
    expect(listed.map(({ id }) => id)).toEqual([sidOf(who.token)]);
    expect(Object.keys(listed[0]!).sort()).toEqual(
      ["address", "created_at", "current", "expires_at", "id", "last_used_at", "user_agent"].sort(),
    );
  });

  test("is answered for a token of before there were sessions: none is the current one", async () => {
    const who = await service.join();
    const { sid: _, ...claims } = readClaims(who.token);
    const old = makeToken({ ...claims, jti: randomUUID() }, service.running.deps.config.jwt.secrets[0]!, {
      alg: "HS256",
    });
    expect((await list(old)).map(({ current }) => current)).toEqual([false]);
    expect((await service.send("POST", "/admin/logout", { token: old })).status).toBe(204);
    expect([await lets(old), await lets(who.token)]).toEqual([false, true]);
  });

  test("keeps of a user agent 200 characters of one line", async () => {
    const who = await service.join();
    const { access_token } = await signInTo(service, who, { "user-agent": "x".repeat(5_000) });
    expect((await list(access_token))[0]!.user_agent).toBe("x".repeat(200));
    expect(cleanUserAgent(" a\r\nb\u0000\u001b[31mc\u2028d\u202ee\ud800 ")).toBe("a b [31mc d e");
    expect([...cleanUserAgent("\u{1f600}".repeat(300))].length).toBe(200);
  });
});

describe("DELETE /admin/sessions/:id", () => {
  test("ending a session ends its access and its refresh token, and no other session", async () => {
    const who = await service.join();
    const other = await signInTo(service, who);
    expect((await end(who.token, sidOf(other.access_token))).status).toBe(204);
    expect([await lets(other.access_token), await lets(who.token)]).toEqual([false, true]);
    expectProblem(await refreshAt(service, other.refresh_token), {
      status: 401,
      type: "refresh_token_invalid",
      path: "/admin/refresh",
    });
    expect((await list(who.token)).map(({ id }) => id)).toEqual([sidOf(who.token)]);
  });

  test("ends the one that asks, like logout", async () => {
    const who = await service.join();
    expect((await end(who.token, sidOf(who.token))).status).toBe(204);
    expect(await lets(who.token)).toBe(false);
  });

  test("answers 404 to the id of nobody's, of one that was ended and of another admin's, which goes on", async () => {
    const [who, stranger] = [await service.join(), await service.join()];
    const ended = await signInTo(service, who);
    await end(who.token, sidOf(ended.access_token));
    for (const id of [randomUUID(), sidOf(ended.access_token), sidOf(stranger.token)]) {
      const path = `/admin/sessions/${id}`;
      expectProblem(await end(who.token, id), { status: 404, type: "session_not_found", path });
    }
    expect(await lets(stranger.token)).toBe(true);
  });
});

test("the record of an organization says whose session was ended, and which refresh token came twice, and holds neither", async () => {
  const who = await service.join();
  const [ended, copied] = [await signInTo(service, who), await signInTo(service, who)];
  await end(who.token, sidOf(ended.access_token));
  await end(who.token, randomUUID());
  await refreshAt(service, copied.refresh_token);
  await refreshAt(service, copied.refresh_token);
  await service.running.deps.audit.flush();
  const { text, body } = await service.send("GET", "/org/audit?kind=session", { token: who.token });
  const acts = body.entries
    .map(({ act, outcome, details }: any) => `${act} ${outcome} ${details.session_id}`)
    .filter((line: string) => /end|reuse/.test(line));
  expect(acts.slice(0, 2)).toEqual([
    `session.refresh_reuse success ${sidOf(copied.access_token)}`,
    expect.stringMatching(/^session\.end failure /),
  ]);
  expect(acts[2]).toBe(`session.end success ${sidOf(ended.access_token)}`);
  for (const token of [copied.refresh_token, ended.refresh_token, ended.access_token])
    expect(text).not.toContain(token);
});

test(`an admin has ${sessionsMax} sessions at the most: a further sign-in ends the one that was used least lately, on record`, async () => {
  const who = await service.join();
  const oldest = await signInTo(service, who);
  await collection().updateOne({ _id: sidOf(who.token) }, { $set: { last_used_at: new Date(Date.now() + 5_000) } });
  const template = (await collection().findOne({ _id: sidOf(who.token) }))!;
  await collection().insertMany(
    Array.from({ length: sessionsMax - 2 }, (_, n) => ({
      ...template,
      _id: randomUUID(),
      family_hash: new ObjectId().toHexString(),
      token_hash: new ObjectId().toHexString(),
      last_used_at: new Date(Date.now() + n),
    })),
  );
  expect([(await list(who.token)).length, await lets(oldest.access_token)]).toEqual([sessionsMax, true]);
  const newest = await signInTo(service, who);
  const listed = await list(who.token);
  expect(listed.length).toBe(sessionsMax);
  expect(listed.map(({ id }) => id)).toContain(sidOf(newest.access_token));
  expect([await lets(oldest.access_token), await lets(who.token), await lets(newest.access_token)]).toEqual([
    false,
    true,
    true,
  ]);
  const { body } = await service.send("GET", "/org/audit?act=session.end", { token: newest.access_token });
  expect(body.entries).toHaveLength(1);
  expect(body.entries[0]).toMatchObject({
    outcome: "success",
    who: { kind: "admin", id: readClaims(newest.access_token).admin_id },
    details: { session_id: sidOf(oldest.access_token), reason: "sessions_max" },
  });
});
