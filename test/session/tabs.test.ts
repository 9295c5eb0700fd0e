import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { auditEntries } from "../../src/audit/store.ts";
import type { Deps } from "../../src/deps.ts";
import { refresh } from "../../src/session/refresh.ts";
import { makeRefreshToken } from "../../src/session/token/refresh-token.ts";
import { type Child, startChild } from "../support/crash.ts";
import { expectProblem } from "../support/problem.ts";
import { type Answer, send, useService } from "../support/service.ts";
import { isLetIn, refreshAt, sidOf, signInTo, type Tokens } from "../support/session.ts";

setDefaultTimeout(60_000);
/** `TAB_RENEWALS=1000` for all that the issue asks for. */
const renewals = Number(process.env.TAB_RENEWALS || 50);
const timeoutMs = 60_000 + renewals * 1_000;
const service = useService();
const renew = (token: string) => refreshAt(service, token);
const lets = (token: string) => isLetIn(service, token);
const path = "/admin/refresh";
const begin = async () => await signInTo(service, await service.join());
const next = async (token: string): Promise<Tokens> => {
  const { status, body } = await renew(token);
  expect(status).toBe(200);
  return body;
};
function expectInProgress(answer: Answer) {
  expectProblem(answer, { status: 409, type: "refresh_in_progress", path });
  expect(answer.headers.get("retry-after")).toBe("1");
  expect(answer.text).not.toContain("crt_");
}
const stored = (token: string) =>
  service.db.collection<{ _id: string; used_up?: unknown[] }>("sessions").findOne({ _id: sidOf(token) });
/** As if that much more time had gone by since the session was renewed each time. */
const letPass = (token: string, seconds: number) =>
  service.db.collection<{ _id: string }>("sessions").updateOne({ _id: sidOf(token) }, [
    {
      $set: {
        used_up: {
          $map: {
            input: "$used_up",
            as: "one",
            in: { hash: "$$one.hash", at: { $subtract: ["$$one.at", seconds * 1_000] } },
          },
        },
      },
    },
  ]);

describe("a refresh token that comes a second time", () => {
  test("within the leeway gets nothing and ends nothing, however often it comes, and is no entry of the audit", async () => {
    const { access_token, refresh_token } = await begin();
    const first = await next(refresh_token);
    for (let times = 0; times < 3; times++) expectInProgress(await renew(refresh_token));
    expect([await lets(access_token), await lets(first.access_token)]).toEqual([true, true]);
    const second = await next(first.refresh_token);
    expect(await lets(second.access_token)).toBe(true);
    await service.running.deps.audit.flush();
    const noted = { act: "session.refresh_reuse", "details.session_id": sidOf(access_token) };
    expect(await auditEntries(service.db).countDocuments(noted as never)).toBe(0);
  });

  test("after the leeway ends its session, with all tokens of it", async () => {
    const { access_token, refresh_token } = await begin();
    const first = await next(refresh_token);
    await letPass(access_token, 9);
    expectInProgress(await renew(refresh_token));
    await letPass(access_token, 2);
    expectProblem(await renew(refresh_token), { status: 401, type: "refresh_token_reused", path });
    expect([await lets(access_token), await lets(first.access_token)]).toEqual([false, false]);
    expectProblem(await renew(first.refresh_token), { status: 401, type: "refresh_token_invalid", path });
  });

  test("has a leeway of its own, which no later renewal makes longer", async () => {
    const { access_token, refresh_token } = await begin();
    const first = await next(refresh_token);
    await letPass(access_token, 6);
    const second = await next(first.refresh_token);
    // The one before last, and the last.
    for (const used of [refresh_token, first.refresh_token]) expectInProgress(await renew(used));
    await letPass(access_token, 6);
    const third = await next(second.refresh_token);
    for (const used of [first.refresh_token, second.refresh_token]) expectInProgress(await renew(used));
    expectProblem(await renew(refresh_token), { status: 401, type: "refresh_token_reused", path });
    expect(await lets(third.access_token)).toBe(false);
  });

  test("has its leeway by the database's clock, whatever that of the process says", async () => {
    const { refresh_token } = await begin();
    await next(refresh_token);
    for (const hours of [-5, 5]) {
      const deps: Deps = { ...service.running.deps, now: () => new Date(Date.now() + hours * 3_600_000) };
      const asked = refresh(deps, refresh_token, { address: "192.0.2.1", userAgent: "" });
      expect(await asked.catch(({ failure }) => failure)).toBe("refresh_in_progress");
    }
  });

  test("ends the session at once when it was never given out, though it names the session", async () => {
    const { access_token, refresh_token } = await begin();
    await next(refresh_token);
    expectProblem(await renew(makeRefreshToken(refresh_token)), { status: 401, type: "refresh_token_reused", path });
    expect(await lets(access_token)).toBe(false);
  });

  test("is told nothing of a session that was ended within the leeway", async () => {
    const { access_token, refresh_token } = await begin();
    const first = await next(refresh_token);
    expect((await service.send("POST", "/admin/logout", { token: first.access_token })).status).toBe(204);
    expectProblem(await renew(refresh_token), { status: 401, type: "refresh_token_invalid", path });
    expect(await lets(access_token)).toBe(false);
  });

  test("is remembered a bounded number of times, and not beyond the leeway", async () => {
    let { access_token, refresh_token } = await begin();
    for (let times = 0; times < 60; times++) ({ refresh_token } = await next(refresh_token));
    expect((await stored(access_token))!.used_up!.length).toBe(50);
    await letPass(access_token, 11);
    await next(refresh_token);
    expect((await stored(access_token))!.used_up!.length).toBe(1);
  });
});

describe("two processes", () => {
  let children: Child[];
  beforeAll(async () => {
    const { databaseName } = service.db;
    children = [await startChild({ databaseName }), await startChild({ databaseName })];
  }, 60_000);
  afterAll(async () => {
    await Promise.all((children ?? []).map((child) => child.end()));
  });
  const renewAt = (child: Child, refresh_token: string) => send(child.url, "POST", path, { body: { refresh_token } });

  test("of many who renew one session at once in two processes exactly one gets tokens, and the session goes on", async () => {
    for (let round = 0; round < 3; round++) {
      const { access_token, refresh_token } = await begin();
      const answers = await Promise.all(Array.from({ length: 12 }, (_, n) => renewAt(children[n % 2]!, refresh_token)));
      const given = answers.filter(({ status }) => status === 200);
      expect(given.length).toBe(1);
      for (const answer of answers) if (answer.status !== 200) expectInProgress(answer);
      expect([await lets(access_token), await lets(given[0]!.body.access_token)]).toEqual([true, true]);
    }
  });

  test(
    `${renewals} renewals by two tabs that share what they store lose no session`,
    async () => {
      const { access_token, refresh_token } = await begin();
      // What the tabs of a browser have in common.
      const storage = { refresh_token };
      let done = 0;
      let inProgress = 0;
      const tab = async (child: Child) => {
        while (done < renewals) {
          const { status, body, text } = await renewAt(child, storage.refresh_token);
          if (status === 200) {
            storage.refresh_token = body.refresh_token;
            done++;
          } else if (status === 409) {
            inProgress++;
          } else throw new Error(`after ${done} renewals: ${status} ${text}`);
        }
      };
      await Promise.all(children.map(tab));
      console.log(`${done} renewals, ${inProgress} times another tab was first`);
      expect(inProgress).toBeGreaterThan(0);
      expect(await lets(access_token)).toBe(true);
      expect(await lets((await next(storage.refresh_token)).access_token)).toBe(true);
    },
    timeoutMs,
  );
});
