import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createLogger } from "../../src/log.ts";
import { type RunningService, startService } from "../../src/serve.ts";
import { type LateProxy, startLateProxy } from "../support/late-proxy.ts";
import { newcomer, send, stopAndDrop, testConfig } from "../support/service.ts";

let proxy: LateProxy;
let running: RunningService;
beforeAll(async () => {
  proxy = await startLateProxy(process.env.MONGODB_URL!);
  // As in production.
  const atOnce = { REQUESTS_AT_ONCE: "32", REQUESTS_WAITING: "64", RATE_LIMIT_TOKEN_PERCENT: "100" };
  const config = testConfig({ MONGODB_URL: proxy.url, ...atOnce });
  running = await startService(config, createLogger("silent"));
  await running.ready;
}, 60_000);
afterAll(async () => {
  await stopAndDrop(running);
  await proxy.close();
}, 60_000);

async function join(): Promise<{ token: string; email: string; password: string }> {
  const who = newcomer();
  await send(running.url, "POST", "/org/create", { body: who });
  const { email, password } = who;
  const { body } = await send(running.url, "POST", "/admin/login", { body: { email, password } });
  return { token: body.access_token, email, password };
}

describe("four organizations with 26 queries each that don't end", () => {
  test("queries of four organizations that don't end keep neither health nor sign-ins nor another organization's requests from their answers", async () => {
    const crowd = await Promise.all(Array.from({ length: 4 }, join));
    const other = await join();
    const documents = (method: string, path: string, body?: unknown) =>
      send(running.url, method, `/org/documents${path}`, { token: other.token, ...(body ? { body } : {}) });
    expect((await documents("POST", "", { _id: "mine" })).status).toBe(201);

    const held = proxy.hold({ which: ({ name }) => name === "aggregate", timesMax: 1_000 });
    const count = (token: string) => send(running.url, "POST", "/org/documents/count", { token, body: {} });
    const queries = crowd.flatMap(({ token }) => Array.from({ length: 26 }, () => count(token)));
    while (held.count() < 75) await Bun.sleep(5);

    for (let round = 0; round < 5; round++) {
      expect((await send(running.url, "GET", "/health")).body).toMatchObject({ status: "healthy" });
      expect((await send(running.url, "GET", "/readiness")).status).toBe(200);
      const { email, password } = other;
      expect((await send(running.url, "POST", "/admin/login", { body: { email, password } })).status).toBe(200);
      expect((await documents("GET", "/mine")).status).toBe(200);
      expect((await documents("GET", "?limit=1")).status).toBe(200);
      expect((await documents("PATCH", "/mine", { round })).status).toBe(200);
    }

    await held.release();
    const answers = await Promise.all(queries);
    for (const { status, headers, body } of answers.filter((answer) => answer.status !== 200)) {
      expect({ status, type: body.type }).toEqual({ status: 503, type: "urn:croupier:problem:documents_busy" });
      expect(headers.get("retry-after")).toBe("1");
    }
    expect(answers.filter(({ status }) => status === 200).length).toBeGreaterThanOrEqual(75);
  });
});
