import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { RunningService } from "../../src/serve.ts";
import { startService } from "../../src/serve.ts";
import { createLogger } from "../../src/log.ts";
import type { StepMoment } from "../../src/operation/operation.ts";
import { inFull } from "../support/chain.ts";
import { expectProblem } from "../support/problem.ts";
import { type Proxy, startProxy } from "../support/proxy.ts";
import { createRandom } from "../support/random.ts";
import { type Answer, newcomer, send, testConfig } from "../support/service.ts";

const answerMsMax = 5_000;

/** A service whose database can go away. */
async function startBehindProxy(onStep?: (kind: string, step: string, moment: StepMoment, proxy: Proxy) => void) {
  const proxy = await startProxy(process.env.MONGODB_URL!);
  const defects: string[] = [];
  const running = await startService(
    testConfig({ MONGODB_URL: proxy.url }),
    createLogger("error", { write: (line) => void defects.push(line) }),
    ({ kind, step }, moment) => onStep?.(kind, step, moment, proxy),
  );
  await running.ready;
  const ask = async (method: string, path: string, options?: Parameters<typeof send>[3]) => {
    const startedMs = performance.now();
    const answer = await send(running.url, method, path, options);
    return { answer, ms: performance.now() - startedMs, path };
  };
  const stop = async () => {
    await proxy.forward();
    await untilReady(running);
    await running.deps.db.dropDatabase();
    await running.stop();
    await proxy.close();
    expect(defects).toEqual([]);
  };
  return { proxy, running, ask, stop };
}
type Behind = Awaited<ReturnType<typeof startBehindProxy>>;

async function untilReady({ url }: RunningService): Promise<void> {
  const deadline = performance.now() + 20_000;
  while ((await send(url, "GET", "/readiness")).status !== 200) {
    if (performance.now() > deadline) throw new Error("the service didn't recover");
    await Bun.sleep(50);
  }
}

async function join({ ask }: Behind) {
  const who = newcomer("away");
  await ask("POST", "/org/create", { body: who });
  const { answer } = await ask("POST", "/admin/login", { body: { email: who.email, password: who.password } });
  return { ...who, token: answer.body.access_token as string };
}

const tokens = ["/org/update", "/org/delete"];

const expectAway = ({ answer, ms, path }: { answer: Answer; ms: number; path: string }) => {
  // Of what a token is needed for, it may be said first that it can't be told whether that one was ended.
  const types = ["database_unavailable", "revocations_unknown"].slice(0, tokens.includes(path) ? 2 : 1);
  const type = types.find((each) => answer.body?.type.endsWith(each)) ?? "database_unavailable";
  expectProblem(answer, { status: 503, type, path });
  expect(ms).toBeLessThan(answerMsMax);
};

const ways = [
  ["refuses connections", (proxy: Proxy) => proxy.refuse()],
  ["takes connections and never answers", (proxy: Proxy) => proxy.hang()],
] as const;

describe.each(ways)("while the database %s", (_how, goAway) => {
  let service: Behind;
  let who: Awaited<ReturnType<typeof join>>;
  beforeAll(async () => {
    service = await startBehindProxy();
    who = await join(service);
    await goAway(service.proxy);
  }, 60_000);
  afterAll(() => service.stop(), 60_000);

  const callAll = ({ ask }: Behind) => {
    const { token, organization_name, email, password } = who;
    return Promise.all([
      ask("POST", "/org/create", { body: newcomer() }),
      ask("GET", `/org/get?organization_name=${organization_name}`),
      ask("PUT", "/org/update", { token, body: { email: newcomer().email } }),
      ask("PUT", "/org/update", { token, body: newcomer() }),
      ask("DELETE", "/org/delete", { token }),
      ask("POST", "/admin/login", { body: { email, password } }),
      ask("POST", "/admin/login", { body: { email: "nobody@example.com", password } }),
    ]);
  };

  test("every endpoint says so within 5 s, at once and again later", async () => {
    for (let round = 0; round < 2; round++) {
      for (const asked of await callAll(service)) {
        const path = asked.path.split("?")[0]!;
        expectAway({ ...asked, path });
      }
    }
  });

  test("/health says unhealthy, /readiness not ready, and what needs no database goes on", async () => {
    const [health, readiness, root, docs, missing, wrong] = await Promise.all([
      service.ask("GET", "/health"),
      service.ask("GET", "/readiness"),
      service.ask("GET", "/"),
      service.ask("GET", "/docs"),
      service.ask("GET", "/nothing"),
      service.ask("POST", "/org/create", { body: {} }),
    ]);
    expect(health.answer.status).toBe(503);
    expect(health.answer.body).toMatchObject({ status: "unhealthy", service: "croupier", database: "disconnected" });
    expect(health.ms).toBeLessThan(answerMsMax);
    expect([readiness.answer.status, readiness.answer.body]).toEqual([503, { status: "not_ready" }]);
    expect(readiness.ms).toBeLessThan(answerMsMax);
    expect([root, docs, missing, wrong].map(({ answer }) => answer.status)).toEqual([200, 200, 404, 422]);
    for (const { ms } of [root, docs, missing, wrong]) expect(ms).toBeLessThan(1_000);
  });

  test("it recovers by itself when the database is back, and nothing was half done", async () => {
    await service.proxy.forward();
    await untilReady(service.running);
    const { db } = service.running.deps;
    expect(await db.collection("organizations").countDocuments()).toBe(1);
    expect(await db.collection("admin_users").countDocuments()).toBe(1);
    const { token, email, password } = who;
    expect((await service.ask("POST", "/admin/login", { body: { email, password } })).answer.status).toBe(200);
    expect((await service.ask("POST", "/org/create", { body: newcomer() })).answer.status).toBe(201);
    expect((await service.ask("GET", "/health")).answer.body.status).toBe("healthy");
    expect((await service.ask("DELETE", "/org/delete", { token })).answer.status).toBe(204);
  });
});

test.each(ways)(
  "a service that is started while the database %s answers 503, and works when it is there",
  async (_how, goAway) => {
    const proxy = await startProxy(process.env.MONGODB_URL!);
    await goAway(proxy);
    let tries = 0;
    const log = createLogger("warn", { write: (line) => void (tries += Number(line.includes("not prepared yet"))) });
    const running = await startService(testConfig({ MONGODB_URL: proxy.url }), log);
    const early = await send(running.url, "POST", "/org/create", { body: newcomer() });
    expectProblem(early, { status: 503, type: "starting", path: "/org/create" });
    expect((await send(running.url, "GET", "/health")).status).toBe(503);
    // Longer than the driver waits: after its first failure it has to be told to connect again.
    while (tries < 2) await Bun.sleep(20);
    expect((await send(running.url, "GET", "/health")).status).toBe(503);
    await proxy.forward();
    await untilReady(running);
    expect((await send(running.url, "POST", "/org/create", { body: newcomer() })).status).toBe(201);
    await running.deps.db.dropDatabase();
    await running.stop();
    await proxy.close();
  },
  60_000,
);

test("twenty changes of one organization that wait for each other hear of it together", async () => {
  let armed = false;
  const service = await startBehindProxy((kind, step, moment, proxy) => {
    if (armed && kind === "update" && step === "organization" && moment === "before") void proxy.hang();
  });
  try {
    const { token } = await join(service);
    armed = true;
    const body = () => ({ email: newcomer().email });
    const asked = await Promise.all(
      Array.from({ length: 20 }, () => service.ask("PUT", "/org/update", { token, body: body() })),
    );
    for (const each of asked) expectAway(each);
    armed = false;
    await service.proxy.forward();
    await untilReady(service.running);
    expect((await service.ask("PUT", "/org/update", { token, body: body() })).answer.status).toBe(200);
  } finally {
    await service.stop();
  }
}, 60_000);

/** In the middle of a change: right before the effect of each step, and before one of each kind is recorded. */
const middles = [
  ["provision", "organization", "before"],
  ["provision", "admin", "before"],
  ["provision", "storage", "before"],
  ["provision", "activate", "before"],
  ["provision", "activate", "after"],
  ["update", "email", "before"],
  ["update", "organization", "before"],
  ["update", "organization", "after"],
  ["update", "admin", "before"],
  ["update", "place", "before"],
  ["update", "rename", "before"],
  ["update", "placement", "before"],
  ["remove", "hide", "before"],
  ["remove", "storage", "before"],
  ["remove", "storage", "after"],
  ["remove", "admins", "before"],
  ["remove", "organization", "before"],
] as const;

/** Some of them, others each time; with CRASH_MATRIX=full (`bun run test:long`) all. */
const tried = inFull ? middles : createRandom(Math.floor(Math.random() * 1_000_000)).sample(middles, 6);

describe("when the database goes away in the middle of a change", () => {
  const outcome = async (kind: string, step: string, moment: StepMoment, how: "refuse" | "hang") => {
    let armed = false;
    const service = await startBehindProxy((atKind, atStep, atMoment, proxy) => {
      if (!armed || atKind !== kind || atStep !== step || atMoment !== moment) return;
      armed = false;
      void proxy[how]();
    });
    const { ask, running, proxy } = service;
    const { db } = running.deps;
    try {
      const who = await join(service);
      armed = true;
      const next = newcomer("next");
      const asked = await (kind === "provision"
        ? ask("POST", "/org/create", { body: next })
        : kind === "update"
          ? ask("PUT", "/org/update", { token: who.token, body: next })
          : ask("DELETE", "/org/delete", { token: who.token }));
      const place = `${kind}/${step} ${moment} ${how}`;
      expect({ place, reached: !armed, status: asked.answer.status }).toEqual({ place, reached: true, status: 503 });
      expectProblem(asked.answer, { status: 503, type: asked.answer.body.type.split(":").at(-1), path: asked.path });
      expect(asked.answer.body.type).toMatch(/:(database_unavailable|operation_pending)$/);

      await proxy.forward();
      await untilReady(running);
      const deadline = performance.now() + 30_000;
      while ((await db.collection("operations").countDocuments({ open: true })) > 0) {
        if (performance.now() > deadline) throw new Error(`${place}: the operation didn't end`);
        await Bun.sleep(50);
      }
      // Whatever came of it, the same request again is answered as if nothing had happened.
      const again =
        kind === "provision"
          ? ([await ask("POST", "/org/create", { body: next }), [201, 400]] as const)
          : kind === "update"
            ? ([await ask("PUT", "/org/update", { token: who.token, body: next }), [200]] as const)
            : ([await ask("DELETE", "/org/delete", { token: who.token }), [204, 401]] as const);
      expect(again[1]).toContain(again[0].answer.status as never);
      const organizations = await db.collection("organizations").find().toArray();
      const names = organizations.map(({ organization_name }) => organization_name).sort();
      expect(names).toEqual(
        kind === "provision"
          ? [who.organization_name, next.organization_name].sort()
          : kind === "update"
            ? [next.organization_name]
            : [],
      );
      expect(organizations.map(({ status }) => status)).toEqual(names.map(() => "active"));
      expect(await db.collection("admin_users").countDocuments()).toBe(names.length);
      const collections = (await db.listCollections({}, { nameOnly: true }).toArray()).map(({ name }) => name);
      // One whose making was begun and undone has left its place, and the next has another; there is one for each all the same.
      const places = collections.filter((name) => name.startsWith("org_")).map((name) => name.replace(/~2$/, ""));
      expect(places.sort()).toEqual(names.map((name) => `org_${name}`));
      return { place, ms: asked.ms };
    } finally {
      await service.stop();
    }
  };

  test.each(["refuse", "hang"] as const)(
    "(%s) the caller hears of it within 5 s, and the change ends by itself later",
    async (how) => {
      const cases = tried.map(([kind, step, moment]) => {
        const ask = () => outcome(kind, step, moment, how);
        return async () => ({ ...(await ask()), ask });
      });
      // A few at a time: all at once, starting so many services would be what is measured.
      const results: { place: string; ms: number; ask(): ReturnType<typeof outcome> }[] = [];
      await Promise.all(
        Array.from({ length: 6 }, async () => {
          for (let next = cases.shift(); next; next = cases.shift()) results.push(await next());
        }),
      );
      expect(results).toHaveLength(tried.length);
      // A machine that is too busy is late by itself: once more, alone.
      for (const { ask } of results.filter(({ ms }) => ms >= answerMsMax)) {
        const { place, ms } = await ask();
        expect({ place, late: ms >= answerMsMax }).toEqual({ place, late: false });
      }
    },
    180_000,
  );
});
