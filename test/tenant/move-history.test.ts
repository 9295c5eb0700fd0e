import { expect, test } from "bun:test";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { dirtyRead } from "../support/history/check.ts";
import { makesDirtyReads } from "../support/history/faults.ts";
import { allDirections, tiersOf } from "../support/history/tenant.ts";
import { runMoveHistory } from "../support/history/run.ts";
import { createRandom } from "../support/random.ts";

// `bun test/support/history/main.ts` goes on for as long as one likes, with every fault in every direction.
const seed = Number(process.env.HISTORY_SEED || Math.floor(Math.random() * 1_000_000));
const folder = join(import.meta.dir, "../../.croupier/histories");
const random = createRandom(seed);
/** `bun run test:long` has every direction and every fault; else it is some of each, others each time. */
const inFull = process.env.HISTORIES === "full";
const [directionsMax, faultsMax] = inFull ? [Infinity, Infinity] : [2, 3];

/** Each of these is one that some rule of the protocol is there for. */
const faults = [
  `kill@${random.pick(["journal", "copy", "drain"])}/${random.pick(["before", "after", "recorded"])}`,
  `kill@gate/before+${Math.floor(random.between(0, 300))}`,
  `kill@${random.pick(["gate/after", "clean/before", "clean/after"])}`,
  `stop-other@${random.pick(["drain", "gate"])}`,
  `stop@gate/before+${Math.floor(random.between(0, 300))}`,
  "race",
];

async function judge(direction: string, fault: string, runSeed: number): Promise<void> {
  mkdirSync(folder, { recursive: true });
  const saveTo = join(folder, `${fault.replaceAll("/", "-")}-${direction.replace(">", "-")}-${runSeed}.jsonl`);
  const databaseUrl = process.env.MONGODB_URL!;
  const run = { seed: runSeed, ...tiersOf(direction), fault, databaseUrl, documents: 200, clients: 5, saveTo };
  const { violations, counts, moveMs, happened } = await runMoveHistory(run);
  console.log(`${direction} ${fault} seed ${runSeed}: ${JSON.stringify(counts)}, ${Math.round(moveMs)} ms`);
  const told = violations
    .filter(({ rule }) => rule !== dirtyRead || !makesDirtyReads(fault))
    .slice(0, 5)
    .map(({ rule, key, message }) => `${rule} ${key ?? ""}: ${message}`);
  expect(told, `seed ${runSeed}, saved as ${saveTo}`).toEqual([]);
  expect(happened).toBe(true);
  expect(counts.ok).toBeGreaterThan(50);
}

for (const [index, direction] of random.sample(allDirections, directionsMax).entries()) {
  test(
    `a tenant is moved ${direction} while it is written to: nothing lost, nothing twice, no time going back`,
    () => judge(direction, "none", seed + index),
    120_000,
  );
}

for (const [index, fault] of random.sample(faults, faultsMax).entries()) {
  const direction = random.pick(allDirections);
  test(`so it is ${direction} with ${fault}`, () => judge(direction, fault, seed + 100 + index), 120_000);
}
