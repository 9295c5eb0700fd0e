import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { createPlaces } from "../../src/lib/limit/places.ts";

const forEver = 2 ** 31 - 1;
const options = { atOnce: 90, waitingMax: 1_000, waitMs: forEver };

/** Enters as often as asked for; tells how many of it are in, and lets one of them out. */
function crowdOf(places: ReturnType<typeof createPlaces>, key: string, count: number) {
  const leaves: (() => void)[] = [];
  for (let n = 0; n < count; n++) {
    const entered = places.enter(key);
    if (typeof entered === "function") leaves.push(entered);
    else void entered.then((leave) => leave && leaves.push(leave));
  }
  return { inside: () => leaves.length, leave: () => leaves.shift()!() };
}

describe("places that are dealt to keys", () => {
  test("places are never all taken by some: each who comes leaves as many free as it has, and a newcomer gets one at once", () => {
    const places = createPlaces(options);
    const crowds = ["a", "b", "c", "d"].map((key) => crowdOf(places, key, 100));
    expect(crowds.map(({ inside }) => inside())).toEqual([45, 23, 11, 6]);
    expect(places.enter("newcomer")).toBeFunction();
  });

  test("come in turn to those who wait, however many of one key came first", async () => {
    const places = createPlaces({ ...options, atOnce: 2 });
    const [first] = ["first", "second"].map((key) => places.enter(key) as () => void);
    const order: string[] = [];
    const entered = ["many", "many", "many", "few", "other"].map(async (key) => {
      const leave = (await places.enter(key))!;
      order.push(key);
      await Bun.sleep(0);
      leave();
    });
    first!();
    await Promise.all(entered);
    expect(order).toEqual(["many", "few", "other", "many", "many"]);
  });

  test("are refused to whoever waited too long, and at once to whoever comes when too many wait", async () => {
    const places = createPlaces({ atOnce: 1, waitingMax: 1, waitMs: 20 });
    const leave = places.enter("a") as () => void;
    const waited = places.enter("b");
    expect(await places.enter("c")).toBeNull();
    expect(await waited).toBeNull();
    leave();
    expect(places.enter("b")).toBeFunction();
  });

  test("are as many as they were, whoever comes and goes, and nobody waits for whom one is free", async () => {
    const step = fc.tuple(fc.constantFrom("a", "b", "c"), fc.constantFrom("enter", "leave"));
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 12 }), fc.array(step, { maxLength: 60 }), async (atOnce, steps) => {
        const places = createPlaces({ ...options, atOnce });
        const inside: Record<string, (() => void)[]> = { a: [], b: [], c: [] };
        const waiting: Record<string, number> = { a: 0, b: 0, c: 0 };
        for (const [key, what] of steps) {
          if (what === "leave") inside[key]!.shift()?.();
          else {
            waiting[key]!++;
            void Promise.resolve(places.enter(key)).then((leave) => {
              waiting[key]!--;
              inside[key]!.push(leave!);
            });
          }
          await Bun.sleep(0);
          const taken = Object.values(inside).flat().length;
          expect(taken).toBeLessThanOrEqual(atOnce);
          for (const each of ["a", "b", "c"]) {
            if (waiting[each]! > 0) expect(inside[each]!.length).toBeGreaterThanOrEqual(atOnce - taken);
          }
        }
      }),
      { numRuns: 50 },
    );
  });
});
