import { afterAll, describe, expect, test } from "bun:test";
import { createThreads } from "../../src/lib/threads.ts";

type Job = { ending?: "exit" | "throw" | "quote" | "spin" | "silence"; bytes: Uint8Array };
const program = new URL("../support/ending-worker.ts", import.meta.url);
const options = { program, jobMsMax: 20_000, late: () => new Error("late") };
const threads = createThreads<Job, { bytes: Uint8Array }>({ ...options, threadsMax: 2 });
afterAll(() => threads.close());
const bytesOf = (value: number) => new Uint8Array([value]);

describe("a thread that ends", () => {
  test.each(["exit", "throw"] as const)("takes its own job with it, and no other: %s", async (ending) => {
    const jobs: Job[] = [{ bytes: bytesOf(1) }, { ending, bytes: bytesOf(2) }, { bytes: bytesOf(3) }];
    const outcomes = await Promise.allSettled(jobs.map((job, index) => threads.run(String(index), () => job, false)));
    expect(outcomes.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
    for (let round = 0; round < 4; round++)
      expect((await threads.run("after", () => ({ bytes: bytesOf(round) }), false)).bytes).toEqual(bytesOf(round + 1));
  });
});

test("a job that nobody waits for any more leaves the queue, and those of all keys go in turn", async () => {
  const late = new AbortController();
  const order: string[] = [];
  const run = (key: string) => threads.run(key, () => ({ bytes: bytesOf(0) }), false).then(() => order.push(key));
  const many = Array.from({ length: 12 }, () => run("many"));
  const gone = threads.run("gone", () => ({ bytes: bytesOf(0) }), false, late.signal);
  const few = run("few");
  late.abort(new Error("late"));
  expect(gone).rejects.toThrow("late");
  await Promise.all([...many, few]);
  expect(order.indexOf("few")).toBeLessThan(6);
});

test("heavy jobs of two keys keep no light one waiting, and those of one key no other's heavy one", async () => {
  const three = createThreads<Job, { bytes: Uint8Array }>({ ...options, threadsMax: 3 });
  let ended = 0;
  const endless = (key: string) =>
    void three.run(key, () => ({ ending: "silence", bytes: bytesOf(0) }), true).catch(() => ended++);
  const run = (key: string, isHeavy: boolean) => three.run(key, () => ({ bytes: bytesOf(1) }), isHeavy);
  for (let n = 0; n < 3; n++) endless("one");
  expect((await run("other", true)).bytes).toEqual(bytesOf(2));
  for (let n = 0; n < 3; n++) endless("two");
  for (const key of ["one", "two", "other"]) expect((await run(key, false)).bytes).toEqual(bytesOf(2));
  expect(ended).toBe(0);
  three.close();
});

test("what goes wrong on a thread is told without what it quotes", async () => {
  await expect(threads.run("one", () => ({ ending: "quote", bytes: bytesOf(77) }), false)).rejects.toThrow(
    /^BSONError$/,
  );
});

test("a job is made when a thread takes it, and one that can't be made keeps no thread", async () => {
  let made = 0;
  const make = () => {
    if (++made === 3) throw new Error("no memory");
    return { bytes: bytesOf(0) };
  };
  const jobs = Array.from({ length: 6 }, () => threads.run("one", make, false));
  expect(made).toBe(2);
  const outcomes = await Promise.allSettled(jobs);
  expect(outcomes.map(({ status }) => status === "fulfilled")).toEqual([true, true, false, true, true, true]);
});

test("threads that are closed end what they do and what waits for them", async () => {
  const closing = createThreads<Job, { bytes: Uint8Array }>({ ...options, threadsMax: 1 });
  const run = () => closing.run("one", () => ({ bytes: bytesOf(0) }), false);
  const jobs = [run(), run()];
  closing.close();
  const outcomes = await Promise.allSettled([...jobs, run()]);
  for (const outcome of outcomes) expect(String((outcome as PromiseRejectedResult).reason)).toContain("are closed");
});

test.each(["spin", "silence"] as const)(
  "a job that doesn't end in time is given up, and its thread is replaced: %s",
  async (ending) => {
    const few = createThreads<Job, { bytes: Uint8Array }>({ ...options, threadsMax: 1, jobMsMax: 800 });
    const run = (job: Job) => few.run("one", () => job, false);
    const [given, next] = [run({ ending, bytes: bytesOf(1) }), run({ bytes: bytesOf(1) })];
    await expect(given).rejects.toThrow("late");
    expect((await next).bytes).toEqual(bytesOf(2));
    // What was in time leaves no limit behind that ends the thread of the next one.
    for (let round = 0; round < 4; round++) {
      await Bun.sleep(250);
      expect((await run({ bytes: bytesOf(round) })).bytes).toEqual(bytesOf(round + 1));
    }
    few.close();
  },
);
