import { expect, test } from "bun:test";
import { createBudget } from "../../src/lib/limit/budget.ts";

test("nothing can be taken by whoever has taken all that it may, and others still have their share", () => {
  const budget = createBudget(136);
  expect(budget.take("one", 64)).toBe(true);
  expect(budget.take("two", 32)).toBe(true);
  expect(budget.take("one", 1)).toBe(false);
  expect(budget.take("one", 0)).toBe(true);
  expect(budget.take("three", 20)).toBe(true);
  budget.giveBack("one", 64);
  expect(budget.take("one", 40)).toBe(true);
});
