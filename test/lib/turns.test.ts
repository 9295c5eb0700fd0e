import { describe, expect, test } from "bun:test";
import { createTurns } from "../../src/lib/turns.ts";

const gate = () => Promise.withResolvers<void>();

describe("turns", () => {
  test("of one key run one after the other, in the order in which they came", async () => {
    const inTurn = createTurns(() => false);
    const log: string[] = [];
    const work = (name: string) => async () => {
      log.push(`${name} begins`);
      await Bun.sleep(Math.random() * 5);
      log.push(`${name} ends`);
      return name;
    };
    const names = ["a", "b", "c", "d"];
    expect(await Promise.all(names.map((name) => inTurn("key", 5_000, work(name))))).toEqual(names);
    expect(log).toEqual(names.flatMap((name) => [`${name} begins`, `${name} ends`]));
  });

  test("of another key aren't held up, and a failure ends its turn", async () => {
    const inTurn = createTurns(() => false);
    const { promise, resolve } = gate();
    const held = inTurn("one", 5_000, () => promise);
    expect(await inTurn("other", 0, async () => "at once")).toBe("at once");
    resolve();
    await held;
    const failing = inTurn("one", 5_000, () => Promise.reject(new Error("failed")));
    const next = inTurn("one", 5_000, async () => "after it");
    expect(failing).rejects.toThrow("failed");
    expect(await next).toBe("after it");
  });

  test("end together when the error of one is everybody's, and only then", async () => {
    const away = new Error("away");
    const inTurn = createTurns((error) => error === away);
    const { promise, reject } = Promise.withResolvers<string>();
    const calls = [inTurn("key", 5_000, () => promise), ...[1, 2].map(() => inTurn("key", 5_000, async () => "ran"))];
    reject(away);
    const outcomes = await Promise.allSettled(calls);
    expect(outcomes).toEqual(calls.map(() => ({ status: "rejected", reason: away }) as PromiseRejectedResult));
    expect(await inTurn("key", 0, async () => "later")).toBe("later");
  });

  test("that don't come in time are not taken, and those behind go on", async () => {
    const inTurn = createTurns(() => false);
    const { promise, resolve } = gate();
    const held = inTurn("key", 5_000, () => promise);
    let ran = false;
    const late = inTurn("key", 20, async () => {
      ran = true;
      return "late";
    });
    expect(await late).toBeNull();
    expect(ran).toBe(false);
    resolve();
    await held;
    expect(await inTurn("key", 0, async () => "free again")).toBe("free again");
  });
});
