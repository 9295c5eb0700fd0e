import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type Counters, createMemoryCounters } from "../../src/lib/limit/counters.ts";
import { insure } from "../../src/lib/limit/insured.ts";
import { createRedis, type Redis } from "../../src/lib/limit/redis.ts";
import { createRedisCounters } from "../../src/lib/limit/redis-counters.ts";
import { until } from "../support/crash.ts";
import { canStartRedis, hasRedis, startRedis, type TestRedis } from "../support/redis.ts";
import { freshDatabaseName } from "../support/service.ts";

const times = <T>(count: number, make: (index: number) => T) =>
  Array.from({ length: count }, (_none, index) => make(index));
const countsOf = (counts: { count: number }[]) => counts.map(({ count }) => count).sort((a, b) => a - b);

describe.skipIf(!hasRedis)("counters that processes share through Redis", () => {
  let server: TestRedis;
  let connections: Redis[];
  let counters: Counters[];
  const prefix = freshDatabaseName();
  const changes: boolean[] = [];
  const isThere = (redis: Redis) =>
    until("the connection", async () => (await redis.send("PING", []).catch(() => null)) === "PONG");
  beforeAll(async () => {
    server = await startRedis();
    connections = times(2, () => createRedis(server.url, (isUp) => changes.push(isUp)));
    counters = connections.map((redis) => createRedisCounters(redis, prefix));
    await Promise.all(connections.map(isThere));
  }, 30_000);
  afterAll(async () => {
    for (const connection of connections) connection.close();
    await server.end();
  });

  test("give each of 60 callers another count, in a first window and in a second", async () => {
    for (const _window of [1, 2]) {
      const counts = await Promise.all(times(60, (index) => counters[index % 2]!.add("crowd", 1, 1)));
      expect(countsOf(counts)).toEqual(times(60, (index) => index + 1));
      for (const { endsMs } of counts) expect(endsMs - Date.now()).toBeLessThan(1_001);
      await until("the window's end", async () => (await counters[0]!.read("crowd")) === null);
    }
  });

  test("say what was counted, take one back while its window is open, and forget it", async () => {
    const [one, two] = counters as [Counters, Counters];
    expect(await one.read("few")).toBeNull();
    for (const _try of times(3, () => 0)) await one.add("few", 1, 60);
    const soonMs = Date.now() + 30_000;
    expect(await two.takeBack("few", soonMs)).toBe(false);
    expect(await two.takeBack("few", soonMs + 60_000)).toBe(true);
    expect(await two.takeBack("none", soonMs + 60_000)).toBe(false);
    expect(await one.read("none")).toBeNull();
    expect(await one.read("few")).toEqual({ count: 2, endsMs: expect.any(Number) });
    for (const isThere of [true, true, false]) expect(await two.takeBack("few", soonMs + 60_000)).toBe(isThere);
    expect(await one.read("few")).toMatchObject({ count: 0 });
    await two.remove("few");
    expect(await one.read("few")).toBeNull();
  });

  test.skipIf(!canStartRedis)(
    "go on from where they were in the next place while Redis doesn't answer, dies, and is back with nothing",
    async () => {
      const second = createMemoryCounters();
      const told: unknown[] = [];
      // Two processes: what the one counts in the second place, the other sees.
      const insured = counters.map((first) =>
        insure({ first, second, pauseMs: 200, onAway: (error) => told.push(error) }),
      ) as [Counters, Counters];
      for (const _try of times(2, () => 0)) for (const process of insured) await process.add("key", 1, 60);

      server.signal("SIGSTOP");
      const startedMs = performance.now();
      expect(countsOf(await Promise.all(times(3, () => insured[1].add("key", 1, 60))))).toEqual([5, 6, 7]);
      expect(performance.now() - startedMs).toBeLessThan(1_500);
      expect(told).not.toBeEmpty();
      expect((await insured[1].read("key"))?.count).toBe(7);
      server.signal("SIGCONT");

      await server.kill();
      await until("both to be told", async () => changes.filter((isUp) => !isUp).length >= 2);
      expect((await insured[1].add("key", 1, 60)).count).toBe(8);
      expect((await insured[0].add("key", 1, 60)).count).toBeGreaterThanOrEqual(8);
      await server.start();
      await Promise.all(connections.map(isThere));
      await until("it to be asked again", async () => {
        await insured[1].add("other", 1, 60);
        return (await server.ask("GET", `${prefix}:other`)) !== null;
      });
      // Redis has forgotten it, they have not.
      expect((await insured[1].add("key", 1, 60)).count).toBeGreaterThanOrEqual(10);
      expect((await insured[0].add("key", 1, 60)).count).toBeGreaterThanOrEqual(10);
      // Whoever is forgiven is so in both places.
      await insured[1].remove("key");
      expect(await insured[1].read("key")).toBeNull();
      expect((await insured[1].add("key", 1, 60)).count).toBe(1);
    },
    30_000,
  );
});

test("a Redis that isn't there costs no time", async () => {
  const changes: boolean[] = [];
  const redis = createRedis("redis://127.0.0.1:1", (isUp) => changes.push(isUp));
  await until("it to be told", async () => changes.length > 0);
  const startedMs = performance.now();
  expect(await redis.send("PING", []).catch(String)).toBe("Error: Redis is unavailable");
  expect(performance.now() - startedMs).toBeLessThan(100);
  redis.close();
  expect(changes).toEqual([false]);
});
