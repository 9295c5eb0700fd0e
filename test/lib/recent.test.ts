import { expect, test } from "bun:test";
import { createRecent } from "../../src/lib/recent.ts";

/** What is asked for, each answer given by hand. */
function createQuestions() {
  const open: ((found: { value: number } | null) => void)[] = [];
  const find = () => new Promise<{ value: number } | null>((resolve) => void open.push(resolve));
  return { find, open };
}

test("what is remembered is asked for once by all who want it at the same time", async () => {
  const { find, open } = createQuestions();
  const recent = createRecent({ max: 10, ttlMs: 60_000, find });
  const answers = [recent.find("a"), recent.find("a"), recent.find("b")];
  expect(open).toHaveLength(2);
  open[0]!({ value: 1 });
  open[1]!(null);
  expect(await Promise.all(answers)).toEqual([{ value: 1 }, { value: 1 }, null]);
  expect(await recent.find("a")).toEqual({ value: 1 });
  expect(open).toHaveLength(2);
  void recent.find("b");
  expect(open).toHaveLength(3);
});

test("what is forgotten while it is asked for isn't remembered, and the next who asks gets a new answer", async () => {
  const { find, open } = createQuestions();
  const recent = createRecent({ max: 10, ttlMs: 60_000, find });
  const before = recent.find("a");
  recent.forget("a");
  const after = recent.find("a");
  expect(open).toHaveLength(2);
  open[1]!({ value: 2 });
  expect(await after).toEqual({ value: 2 });
  open[0]!({ value: 1 });
  expect(await before).toEqual({ value: 1 });
  expect(await recent.find("a")).toEqual({ value: 2 });
  expect(open).toHaveLength(2);
});

test("what is remembered is as old as its question, not as its answer", async () => {
  const { find, open } = createQuestions();
  const recent = createRecent({ max: 10, ttlMs: 20, find });
  const asked = recent.find("a");
  const until = performance.now() + 40;
  while (performance.now() < until) await Bun.sleep(1);
  void recent.find("a");
  expect(open).toHaveLength(2);
  open[0]!({ value: 1 });
  expect(await asked).toEqual({ value: 1 });
  open[1]!(null);
  await Bun.sleep(0);
  void recent.find("a");
  expect(open).toHaveLength(3);
});
