import { expect, test } from "bun:test";
import { allFaults, faultNamed } from "../support/history/faults.ts";
import { mutations, plant, staleEdits } from "../support/history/mutations.ts";

test("every mutation still fits the code", () => {
  expect(mutations.flatMap(staleEdits)).toEqual([]);
});

test("a mutant is the code with the bug in it, and its parts are found", async () => {
  for (const mutation of mutations) {
    const mutant = plant(mutation);
    const built = await Bun.build({ entrypoints: [mutant.program], target: "bun", packages: "external" });
    mutant.remove();
    expect(built.success, mutation.name).toBe(true);
  }
}, 60_000);

test("every fault has a name that can be asked for", () => {
  expect(allFaults.map((name) => faultNamed(name).name)).toEqual(allFaults);
});
