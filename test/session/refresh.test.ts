import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { createApp } from "../../src/app.ts";
import { auditEntries } from "../../src/audit/store.ts";
import type { Deps } from "../../src/deps.ts";
import { isFailure } from "../../src/lib/failure.ts";
import { refresh } from "../../src/session/refresh.ts";
import * as sessionStore from "../../src/session/session-store.ts";
import { hashRefreshToken, makeRefreshToken } from "../../src/session/token/refresh-token.ts";
import { until } from "../support/crash.ts";
import { expectProblem } from "../support/problem.ts";
import { type Answer, readAnswer, useService } from "../support/service.ts";
import { isLetIn, refreshAt, sidOf, signInTo, type Tokens } from "../support/session.ts";
import { readClaims } from "../support/token.ts";

setDefaultTimeout(30_000);
// What a moment more changes is in tabs.test.ts.
const service = useService({ REFRESH_LEEWAY_SECONDS: "0" });
const renew = (token: string) => refreshAt(service, token);
const lets = (token: string) => isLetIn(service, token);
const sessions = () => service.db.collection<{ _id: string }>("sessions");
const stored = (token: string) => sessions().findOne({ _id: sidOf(token) });
const path = "/admin/refresh";
const refusesAs = (answer: Answer, type: string) => expectProblem(answer, { status: 401, type, path });
const dayMs = 86_400_000;

/** What a session has when it is begun. */
const begin = async () => {
  const who = await service.join();
  return { who, ...(await signInTo(service, who)) };
};
const next = async (token: string): Promise<Tokens> => {
  const { status, body } = await renew(token);
  expect(status).toBe(200);
  return body;
};

describe("a refresh token", () => {
  test("gives a new access token and a new refresh token of the same session, and the access token before goes on", async () => {
    const { who, access_token, refresh_token } = await begin();
    const { status, headers, body } = await renew(refresh_token);
    expect(status).toBe(200);
    expect(headers.get("cache-control")).toBe("no-store");
    expect(body).toEqual({
      access_token: expect.stringMatching(/^[\w-]+\.[\w-]+\.[\w-]+$/),
      token_type: "bearer",
      expires_in: 3600,
      refresh_token: expect.stringMatching(/^crt_[\w-]{64}$/),
      refresh_expires_in: 30 * 86_400,
    });
    expect(body.refresh_token).not.toBe(refresh_token);
    const [before, after] = [readClaims(access_token), readClaims(body.access_token)];
    expect(after).toEqual({ ...before, jti: expect.any(String), iat: expect.any(Number), exp: after.iat + 3600 });
    expect(after.jti).not.toBe(before.jti);
    expect([after.organization_id, await lets(access_token), await lets(body.access_token)]).toEqual([
      who.id,
      true,
      true,
    ]);
    const third = await next((await next(body.refresh_token)).refresh_token);
    expect(await lets(third.access_token)).toBe(true);
  });

  test("a refresh token is nowhere in the database, nor is the part that finds the session", async () => {
    const { refresh_token, access_token } = await begin();
    const { refresh_token: second } = await next(refresh_token);
    const text = JSON.stringify(await stored(access_token));
    const bytes = Buffer.from(second.slice(4), "base64url");
    const parts = [bytes, bytes.subarray(0, 16), bytes.subarray(16)];
    for (const secret of [refresh_token, second, second.slice(4), second.slice(30)]) expect(text).not.toContain(secret);
    for (const part of parts) {
      for (const coding of ["base64url", "base64", "hex"] as const) expect(text).not.toContain(part.toString(coding));
    }
    expect(text).toContain(hashRefreshToken(second)!.token);
    expect(new Set(Array.from({ length: 1_000 }, () => makeRefreshToken(second).slice(-42))).size).toBe(1_000);
  });

  test("a refresh token that is used twice ends its session, with the access tokens and the refresh token that were given for it first", async () => {
    const { who, access_token, refresh_token } = await begin();
    const other = await signInTo(service, who);
    const stolen = await next(refresh_token);
    refusesAs(await renew(refresh_token), "refresh_token_reused");
    expect([await lets(access_token), await lets(stolen.access_token)]).toEqual([false, false]);
    for (const token of [stolen.refresh_token, refresh_token]) refusesAs(await renew(token), "refresh_token_invalid");
    expect(await stored(access_token)).toBeNull();
    // The admin's other sessions have nothing to do with it.
    expect([await lets(other.access_token), await lets(who.token)]).toEqual([true, true]);
    expect((await renew(other.refresh_token)).status).toBe(200);
  });

  test("a refresh token of long ago ends the session as the last one does", async () => {
    const { refresh_token } = await begin();
    let last = await next(refresh_token);
    for (let n = 0; n < 3; n++) last = await next(last.refresh_token);
    refusesAs(await renew(refresh_token), "refresh_token_reused");
    expect(await lets(last.access_token)).toBe(false);
    refusesAs(await renew(last.refresh_token), "refresh_token_invalid");
  });

  test("a refresh token sent many times at once is let through once at the most, and no token of the session is left", async () => {
    for (let round = 0; round < 3; round++) {
      const { access_token, refresh_token } = await begin();
      const answers = await Promise.all(Array.from({ length: 12 }, () => renew(refresh_token)));
      const given = answers.filter(({ status }) => status === 200);
      expect(given.length).toBeLessThanOrEqual(1);
      const others = answers.filter(({ status }) => status !== 200);
      for (const answer of others) expect(answer.body).toMatchObject({ status: 401 });
      for (const { body } of given) {
        expect(await lets(body.access_token)).toBe(false);
        refusesAs(await renew(body.refresh_token), "refresh_token_invalid");
      }
      expect(await lets(access_token)).toBe(false);
      expect(await stored(access_token)).toBeNull();
    }
  });

  test("is worth nothing when it was made up, altered, or is of a session that never was", async () => {
    const { access_token, refresh_token } = await begin();
    const made = [makeRefreshToken(), refresh_token.slice(0, -1), `${refresh_token}A`, refresh_token.slice(4)];
    for (const wrong of [...made, access_token.slice(0, 200), sidOf(access_token), `crt_${"A".repeat(64)}`, "x"]) {
      refusesAs(await renew(wrong), "refresh_token_invalid");
    }
    expect((await renew(refresh_token)).status).toBe(200);
  });

  test("a refresh token is no access token, and an access token no refresh token", async () => {
    const { access_token, refresh_token } = await begin();
    expect((await service.send("GET", "/admin/me", { token: refresh_token })).status).toBe(401);
    refusesAs(await renew(access_token.slice(0, 200)), "refresh_token_invalid");
  });
});

describe("a session ends", () => {
  /** Renews as if it were another time. */
  const renewAt = async (token: string, at: number) => {
    const deps: Deps = { ...service.running.deps, now: () => new Date(at) };
    return await refresh(deps, token, { address: "192.0.2.1", userAgent: "" }).catch((error) => {
      if (!isFailure(error)) throw error;
      return error.failure;
    });
  };

  test("a session ends 30 days after it was renewed last, and each renewal counts anew", async () => {
    const { refresh_token } = await begin();
    const start = Date.now();
    const renewed = await renewAt(refresh_token, start + 29 * dayMs);
    if (typeof renewed === "string") throw new Error(renewed);
    expect(renewed.refresh_expires_in).toBe(30 * 86_400);
    expect(await renewAt(renewed.refresh_token, start + 59.1 * dayMs)).toBe("refresh_token_invalid");
  });

  test("a session ends 90 days after its sign-in, however often it was renewed", async () => {
    let { refresh_token } = await begin();
    const start = Date.now();
    for (const days of [25, 50, 75, 89]) {
      const renewed = await renewAt(refresh_token, start + days * dayMs);
      if (typeof renewed === "string") throw new Error(renewed);
      expect(renewed.refresh_expires_in).toBeLessThanOrEqual((90 - days) * 86_400);
      ({ refresh_token } = renewed);
    }
    expect(await renewAt(refresh_token, start + 90.01 * dayMs)).toBe("refresh_token_invalid");
  });

  test("by the times that are set", async () => {
    const { deps } = service.running;
    const config = { ...deps.config, sessions: { ...deps.config.sessions, refreshDays: 2, sessionDays: 1 } };
    const app = createApp({ ...deps, config });
    const { who } = await begin();
    const headers = { "content-type": "application/json" };
    const body = JSON.stringify({ email: who.email, password: who.password });
    const answer = await readAnswer(await app.request("/admin/login", { method: "POST", headers, body }));
    expect(answer.body.refresh_expires_in).toBe(86_400);
  });

  test("logout ends the refresh token and the access tokens of its session, and no other session", async () => {
    const { who, access_token, refresh_token } = await begin();
    const renewed = await next(refresh_token);
    expect((await service.send("POST", "/admin/logout", { token: renewed.access_token })).status).toBe(204);
    expect([await lets(renewed.access_token), await lets(access_token), await lets(who.token)]).toEqual([
      false,
      false,
      true,
    ]);
    refusesAs(await renew(renewed.refresh_token), "refresh_token_invalid");
  });

  test("with logout-all, whichever session asks for it", async () => {
    const { who, refresh_token } = await begin();
    const other = await signInTo(service, who);
    expect((await service.send("POST", "/admin/logout-all", { token: other.access_token })).status).toBe(204);
    for (const token of [refresh_token, other.refresh_token]) refusesAs(await renew(token), "refresh_token_invalid");
    for (const token of [who.token, other.access_token]) expect(await stored(token)).toBeNull();
    const again = await signInTo(service, who);
    expect((await renew(again.refresh_token)).status).toBe(200);
  });

  test("a new password ends all sessions but the one that changed it, which can be renewed and changed from again", async () => {
    const { who, access_token, refresh_token } = await begin();
    const other = await signInTo(service, who);
    const change = (token: string, password: string) =>
      service.send("PUT", "/org/update", { token, body: { password } });
    expect((await change(access_token, "Another-Horse-8")).status).toBe(200);
    refusesAs(await renew(other.refresh_token), "refresh_token_invalid");
    expect([await lets(access_token), await lets(other.access_token)]).toEqual([true, false]);
    const renewed = await next(refresh_token);
    expect([await lets(renewed.access_token), readClaims(renewed.access_token).gen]).toEqual([true, 1]);

    const newer = await signInTo(service, { ...who, password: "Another-Horse-8" });
    expect((await change(newer.access_token, "Another-Horse-9")).status).toBe(200);
    refusesAs(await renew(renewed.refresh_token), "refresh_token_invalid");
    expect([await lets(renewed.access_token), await lets(newer.access_token)]).toEqual([false, true]);
    expect((await renew(newer.refresh_token)).status).toBe(200);
  });

  test("a session ends with its organization, and nothing of it is left behind", async () => {
    const { access_token, refresh_token } = await begin();
    expect((await service.send("DELETE", "/org/delete", { token: access_token })).status).toBe(204);
    refusesAs(await renew(refresh_token), "refresh_token_invalid");
    expect(await stored(access_token)).toBeNull();
  });

  test.each(["deleting", "suspended"])("when its organization is %s, which is on record", async (status) => {
    const { who, access_token, refresh_token } = await begin();
    const filter = { organization_name: who.organization_name };
    await service.db.collection("organizations").updateOne(filter, { $set: { status } });
    refusesAs(await renew(refresh_token), "refresh_token_invalid");
    await service.db.collection("organizations").updateOne(filter, { $set: { status: "active" } });
    refusesAs(await renew(refresh_token), "refresh_token_invalid");
    const entries = await auditEntries(service.db).find({ chain: who.id, act: "session.end" }).toArray();
    const { admin_id } = readClaims(access_token);
    expect(entries.map(({ outcome, details }) => ({ outcome, details }))).toEqual([
      { outcome: "success", details: { session_id: sidOf(access_token), admin_id, reason: "outdated" } },
    ]);
  });
});

describe("a process that died", () => {
  test("a process that dies between a renewal and its answer leaves a session that has to sign in again, and no token of it", async () => {
    const { access_token, refresh_token } = await begin();
    const session = (await sessionStore.findByFamily(service.db, hashRefreshToken(refresh_token)!.family))!;
    const lost = makeRefreshToken(refresh_token);
    const { token_hash, _id, ...rest } = session;
    const renewal = { ...rest, token_hash: hashRefreshToken(lost)!.token };
    expect(await sessionStore.renew(service.db, _id, token_hash, renewal, 0)).toBe(true);
    refusesAs(await renew(refresh_token), "refresh_token_reused");
    refusesAs(await renew(lost), "refresh_token_invalid");
    expect(await lets(access_token)).toBe(false);
  });

  test("when a process dies after it ended a session, before the access tokens, any other process goes on", async () => {
    const { access_token, refresh_token } = await begin();
    await sessionStore.end(service.db, sidOf(access_token), new Date(Date.now() - 60_000));
    refusesAs(await renew(refresh_token), "refresh_token_invalid");
    await until("the end", async () => !(await lets(access_token)), 10_000);
    await until("the removal", async () => (await stored(access_token)) === null, 10_000);
  });
});
