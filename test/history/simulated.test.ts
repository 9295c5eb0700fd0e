import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { check } from "../support/history/check.ts";
import { loadHistory, saveHistory } from "../support/history/history.ts";
import { type Planted, simulate } from "../support/history/simulate.ts";
import { createRandom } from "../support/random.ts";

const firstSeed = Number(process.env.HISTORY_SEED || 1);
const size = { clients: 6, keys: 5, requests: 400, unknown: 0.05 };

test("200 histories of a store that does one thing after the other are accepted", () => {
  const wrong: string[] = [];
  for (let seed = firstSeed; seed < firstSeed + 200; seed++) {
    const { violations } = check(simulate(createRandom(seed), size));
    wrong.push(...violations.map(({ rule, message }) => `seed ${seed}: ${rule}: ${message}`));
  }
  expect(wrong).toEqual([]);
}, 60_000);

test("so are those with many requests without an answer, and with many clients on one document", () => {
  const wrong: string[] = [];
  for (let seed = firstSeed; seed < firstSeed + 30; seed++) {
    const dark = check(simulate(createRandom(seed), { ...size, unknown: 0.3 }));
    const narrow = check(simulate(createRandom(seed), { clients: 10, keys: 1, requests: 600, unknown: 0.1 }));
    for (const { violations } of [dark, narrow]) {
      wrong.push(...violations.map(({ rule, message }) => `seed ${seed}: ${rule}: ${message}`));
    }
  }
  expect(wrong).toEqual([]);
}, 60_000);

// A write that is lost and written over before anybody looks did no harm: so not every one can be found.
const faults: Record<Planted, number> = {
  "lost write": 0.8,
  "old state": 0.8,
  "undone delete": 0.8,
  "stale read": 0.7,
  "double insert": 0.8,
  "hidden in list": 0.65,
};
for (const [fault, share] of Object.entries(faults)) {
  test(`one ${fault} in a history of 400 requests is found nearly always`, () => {
    let found = 0;
    for (let seed = firstSeed; seed < firstSeed + 60; seed++) {
      if (check(simulate(createRandom(seed), size, fault as Planted)).violations.length > 0) found++;
    }
    expect(found).toBeGreaterThanOrEqual(share * 60);
  }, 60_000);
}

test("a history that was saved is judged the same", async () => {
  const folder = mkdtempSync(join(tmpdir(), "croupier-history-"));
  const before = simulate(createRandom(7), size, "lost write");
  await saveHistory(join(folder, "history.jsonl"), { seed: 7 }, [before]);
  const [after] = await loadHistory(join(folder, "history.jsonl"));
  rmSync(folder, { recursive: true });
  expect(check(after!)).toEqual(check(before));
});
