import { afterAll, afterEach, beforeAll, describe, expect, setSystemTime, test } from "bun:test";
import type { MongoClient } from "mongodb";
import { createClient } from "../../src/lib/mongo/client.ts";
import {
  type Counters,
  createCounterIndexes,
  createMemoryCounters,
  createSharedCounters,
} from "../../src/lib/limit/counters.ts";
import { createCrowd } from "../../src/lib/limit/crowd.ts";
import { insure } from "../../src/lib/limit/insured.ts";
import { createRateLimit } from "../../src/lib/limit/rate-limit.ts";
import { type Proxy, startProxy } from "../support/proxy.ts";
import { freshDatabaseName } from "../support/service.ts";

const times = <T>(count: number, make: (index: number) => T) =>
  Array.from({ length: count }, (_none, index) => make(index));
afterEach(() => void setSystemTime());
const wait = (seconds: number) => void setSystemTime(new Date(Date.now() + seconds * 1000));
const growing = (counters: Counters) =>
  createRateLimit({ name: "tries", limit: 5, windowSeconds: 60, windowSecondsMax: 3_600, counters });

describe("windows that grow", () => {
  test.each([
    ["all of them", 5, [60, 120, 240, 480, 960, 1920, 3600, 3600]],
    // Who stops one short of the limit gets no further in a day.
    ["all but one", 4, [60, 60, 120, 240, 480, 960, 960, 1920, 3600]],
  ])("by what was let through, when %s is used up", async (_name, perWindow, expected) => {
    const limit = growing(createMemoryCounters());
    const windows: number[] = [];
    for (const _window of expected) {
      const [first] = [await limit.take("key")];
      for (let count = 1; count < perWindow; count++) {
        const { allowed, windowSeconds } = await limit.take("key");
        expect([allowed, windowSeconds]).toEqual([true, first.windowSeconds]);
      }
      windows.push(first.resetSeconds);
      expect(first.windowSeconds).toBe(first.resetSeconds);
      wait(first.resetSeconds + 1);
    }
    expect(windows).toEqual(expected);
  });

  test("don't grow by what was refused, and begin anew once a day has gone by", async () => {
    const limit = growing(createMemoryCounters());
    for (const _try of times(100, () => 0)) await limit.take("key");
    wait(61);
    expect((await limit.take("key")).windowSeconds).toBe(120);
    wait(24 * 3_600 + 1);
    expect((await limit.take("key")).windowSeconds).toBe(60);
  });

  test("begin anew for a key that is forgiven, and don't count what is given back", async () => {
    const limit = growing(createMemoryCounters());
    for (const _try of times(12, () => 0)) {
      const taken = await limit.take("key");
      expect(await limit.giveBack("key", taken)).toMatchObject({ remaining: 5, windowSeconds: 60 });
    }
    expect(await limit.take("key")).toMatchObject({ remaining: 4, windowSeconds: 60 });
    for (const _try of times(9, () => 0)) await limit.take("key");
    expect(await limit.forgive("key")).toMatchObject({ allowed: true, remaining: 5, windowSeconds: 60 });
    expect(await limit.take("key")).toMatchObject({ allowed: true, remaining: 4, windowSeconds: 60 });
  });
});

test("counters with a bound forget the key that was used least lately, and none that is in use", async () => {
  const counters = createMemoryCounters(3);
  for (const key of ["a", "b", "c", "a", "d", "a"]) await counters.add(key, 1, 60);
  expect((await counters.read("a"))?.count).toBe(3);
  expect(await counters.read("b")).toBeNull();
  expect((await counters.read("c"))?.count).toBe(1);
  await counters.remove("a");
  expect(await counters.read("a")).toBeNull();
});

/** What holds of what is given back, in every store. */
function givesBackOnlyWhatIsOpen(createCounters: () => Counters) {
  test("what is given back after its window has ended opens none, and the next is as long as it would have been", async () => {
    const limit = growing(createCounters());
    // Each time one is under way when the window ends, as a right sign-in whose password is still being checked.
    for (const expected of [60, 120, 240, 480]) {
      const underWay = await limit.take("under way");
      expect(underWay).toMatchObject({ remaining: 4, windowSeconds: expected });
      expect(underWay.resetSeconds).toBeWithin(expected - 20, expected + 1);
      for (const _try of times(4, () => 0)) expect((await limit.take("under way")).allowed).toBe(true);
      expect((await limit.take("under way")).allowed).toBe(false);
      wait(expected + 1);
      expect(await limit.giveBack("under way", underWay)).toEqual(underWay);
    }
  });

  test("what is given back after its window has ended counts for none that was opened meanwhile", async () => {
    const limit = growing(createCounters());
    const late = await limit.take("late");
    wait(61);
    for (const _try of times(3, () => 0)) await limit.take("late");
    expect(await limit.giveBack("late", late)).toEqual(late);
    expect((await limit.take("late")).remaining).toBe(1);
  });

  test("one is taken back of an open window that ends in time, and never one more than was counted", async () => {
    const counters = createCounters();
    expect(await counters.takeBack("back", Date.now() + 3_600_000)).toBe(false);
    expect(await counters.read("back")).toBeNull();
    const { endsMs } = await counters.add("back", 2, 60);
    expect(await counters.takeBack("back", endsMs - 30_000)).toBe(false);
    expect(await counters.takeBack("back", endsMs + 30_000)).toBe(true);
    expect((await counters.read("back"))?.count).toBe(1);
    expect(await counters.takeBack("back", endsMs + 30_000)).toBe(true);
    expect(await counters.takeBack("back", endsMs + 30_000)).toBe(false);
    expect((await counters.add("back", 1, 60)).count).toBe(1);
  });
}

describe("counters of one process", () => givesBackOnlyWhatIsOpen(createMemoryCounters));

describe("counters that processes share", () => {
  let proxy: Proxy;
  let direct: MongoClient;
  let clients: MongoClient[];
  const databaseName = freshDatabaseName();
  const told: unknown[] = [];
  let counters: Counters[];
  beforeAll(async () => {
    proxy = await startProxy(process.env.MONGODB_URL!);
    direct = createClient(process.env.MONGODB_URL!);
    clients = [createClient(proxy.url), createClient(proxy.url)];
    await createCounterIndexes(direct.db(databaseName));
    counters = clients.map((client) => createSharedCounters(client.db(databaseName), (error) => told.push(error)));
  }, 30_000);
  afterAll(async () => {
    await direct.db(databaseName).dropDatabase();
    await Promise.all([direct, ...clients].map((client) => client.close()));
    await proxy.close();
  }, 30_000);

  test("give each of 60 callers in two processes another count, in a first window and in a second", async () => {
    for (const _window of [1, 2]) {
      const counts = await Promise.all(times(60, (index) => counters[index % 2]!.add("crowd", 1, 60)));
      expect(counts.map(({ count }) => count).sort((a, b) => a - b)).toEqual(times(60, (index) => index + 1));
      for (const { endsMs } of counts) expect(endsMs - Date.now()).toBeWithin(30_000, 60_001);
      wait(61);
    }
    expect(told).toEqual([]);
  });

  givesBackOnlyWhatIsOpen(() => counters[0]!);

  test("go on in each process while the database is away, saying so once, and nobody waits long", async () => {
    for (const _before of times(3, () => 0)) await counters[0]!.add("away", 1, 60);
    await proxy.refuse();
    const startedMs = performance.now();
    const counts = await Promise.all(times(20, () => counters[0]!.add("away", 1, 60)));
    expect(counts.map(({ count }) => count).sort((a, b) => a - b)).toEqual(times(20, (index) => index + 4));
    expect((await counters[0]!.read("away"))?.count).toBe(23);
    expect(await counters[0]!.takeBack("away", counts[0]!.endsMs + 30_000)).toBe(true);
    expect((await counters[0]!.add("away", 1, 60)).count).toBe(23);
    expect(performance.now() - startedMs).toBeLessThan(4_000);
    expect(told).toHaveLength(1);
    await proxy.forward();
  });

  test("remember a bounded number of keys while the database is away", async () => {
    await proxy.refuse();
    for (const key of times(50_001, (index) => `one of many ${index}`)) await counters[1]!.add(key, 1, 60);
    expect(await counters[1]!.read("one of many 0")).toBeNull();
    expect((await counters[1]!.read("one of many 50000"))?.count).toBe(1);
    await proxy.forward();
  });
});

test("a place that was away once and forgot all costs the next place only the keys that were counted before and meanwhile", async () => {
  let inFirst = createMemoryCounters();
  let isAway = false;
  const reach = () => {
    if (isAway) throw new Error("away");
    return inFirst;
  };
  const first: Counters = {
    add: async (...args) => await reach().add(...args),
    takeBack: async (...args) => await reach().takeBack(...args),
    read: async (...args) => await reach().read(...args),
    remove: async (...args) => await reach().remove(...args),
  };
  const second = createMemoryCounters();
  const insured = insure({ first, second, pauseMs: 0, onAway: () => {} });
  const day = 86_400;
  for (const _try of times(3, () => 0)) await insured.add("before", 1, day);
  isAway = true;
  for (const _try of times(2, () => 0)) await insured.add("meanwhile", 1, day);
  isAway = false;
  inFirst = createMemoryCounters();
  for (const count of [1, 2]) {
    expect((await insured.add("before", 1, day)).count).toBe(3 + count);
    expect((await insured.add("meanwhile", 1, day)).count).toBe(2 + count);
    expect((await insured.add("after", 1, day)).count).toBe(count);
  }
  expect((await second.read("before"))?.count).toBe(2);
  expect((await second.read("meanwhile"))?.count).toBe(4);
  expect(await second.read("after")).toBeNull();
  // What is given back is so wherever it was counted.
  for (const [key, count] of Object.entries({ before: 5, meanwhile: 4, after: 2 })) {
    expect(await insured.takeBack(key, Infinity)).toBe(true);
    expect((await insured.read(key))?.count).toBe(count - 1);
    expect((await insured.add(key, 1, day)).count).toBe(count);
  }
});

describe("a crowd", () => {
  test("lets in so many of a key, has few wait in order, and refuses the others", async () => {
    const crowd = createCrowd({ name: "crowd", atOnce: 2, waitingMax: 2, waitMs: 60_000 });
    const inside = [await crowd.enter("a"), await crowd.enter("a")];
    expect(inside).toEqual([expect.any(Function), expect.any(Function)]);
    const order: string[] = [];
    const waiting = ["first", "second"].map(async (name) => {
      const leave = await crowd.enter("a");
      order.push(name);
      return leave;
    });
    expect(await crowd.enter("a")).toBeNull();
    expect(await crowd.enter("b")).toBeFunction();
    inside[0]!();
    // Leaving twice gives no second place away.
    inside[0]!();
    const first = await waiting[0]!;
    expect(order).toEqual(["first"]);
    first!();
    (await waiting[1]!)!();
    inside[1]!();
    expect(order).toEqual(["first", "second"]);
    expect([await crowd.enter("a"), await crowd.enter("a")]).toEqual([expect.any(Function), expect.any(Function)]);
  });

  test("tells those who wait too long, and goes on", async () => {
    const crowd = createCrowd({ name: "crowd", atOnce: 1, waitingMax: 5, waitMs: 20 });
    const leave = await crowd.enter("a");
    expect(await Promise.all([crowd.enter("a"), crowd.enter("a")])).toEqual([null, null]);
    leave!();
    expect(await crowd.enter("a")).toBeFunction();
  });
});
