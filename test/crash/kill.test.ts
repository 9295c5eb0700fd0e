import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import type { MongoClient } from "mongodb";
import { createClient } from "../../src/lib/mongo/client.ts";
import {
  allMoments,
  chunksOf,
  createFirsts,
  createPool,
  letLeasesRunOut,
  momentsOf,
  nameOf,
  placesOf,
  runChain,
  type Site,
  stepMoments,
} from "../support/chain.ts";
import { type Moment, never, until } from "../support/crash.ts";
import { type Scenario, scenarios } from "../support/scenarios.ts";

/** `matrix[scenario][step][moment]`: what the next process made of it. */
const matrix = new Map<string, Map<string, Map<string, string>>>();
const hits = new Set<string>();

function note(scenario: Scenario, { kind, step, moment }: Moment, outcome: string): void {
  const rows = matrix.getOrInsertComputed(scenario.name, () => new Map());
  const row = rows.getOrInsertComputed(`${kind}/${step}`, () => new Map());
  const known = row.get(moment);
  row.set(moment, known && known !== outcome ? `${known}; later: ${outcome}` : outcome);
  hits.add(nameOf({ kind, step, moment }));
}

/** One process dies at this moment of the scenario's request, another one starts and finds what is left. */
async function die(site: Site, scenario: Scenario, after: number, recorded = true): Promise<void> {
  const { child, db } = site;
  const { loseBefore } = scenario;
  const world = await scenario.prepare({ url: child.url, db });
  await child.arm({ after, signal: "SIGKILL", ...(loseBefore && { loseBefore }) });
  const answer = await scenario.request(child.url, world).catch(() => null);
  const way = momentsOf(scenario);
  const moment = way[after];
  expect(answer?.status ?? "no answer").toBe(moment ? "no answer" : scenario.status);
  if (moment) expect(await child.died).toBe("SIGKILL");
  const passed = way.slice(0, after + 1).map(nameOf);
  // What it said last may arrive after its answer, or its death.
  await until(`what it said up to ${passed.at(-1)}`, async () => child.moments.length >= passed.length);
  expect(child.moments.map(nameOf)).toEqual(passed);

  await letLeasesRunOut(db);
  const next = await site.start();
  await site.quiet();
  const outcome = await scenario.outcome({ url: next.url, db }, world);
  if (!moment || !recorded) return;
  note(scenario, moment, outcome);
  const before = way[after - 1];
  if (before?.moment === "recorded") note(scenario, before, outcome);
}

const casesInAChain = 7;
let client: MongoClient;
const failures = new Map<string, Promise<string[]>>();

/** Making and removing touch each tier's own kind of storage; the table is about the professional one. */
const inOtherTiers = (["starter", "enterprise"] as const).flatMap((tier) =>
  scenarios
    .filter(({ name }) => name === "create" || name === "delete")
    .map((scenario) => ({ tier, scenario, title: `${scenario.name} in the tier ${tier}` })),
);

beforeAll(() => {
  client = createClient(process.env.MONGODB_URL!);
  const pool = createPool(4);
  const firsts = createFirsts();
  for (const scenario of scenarios) {
    const way = momentsOf(scenario);
    const places = firsts(way, placesOf(way));
    const name = (after: number) => (way[after] ? `killed at ${after}. ${nameOf(way[after])}` : "not killed");
    const chains = chunksOf([...places, never], casesInAChain).map((cases) =>
      pool(() => runChain(client, cases, (site, after) => die(site, scenario, after), name)),
    );
    failures.set(
      scenario.name,
      Promise.all(chains).then((all) => all.flat()),
    );
  }
  for (const { tier, scenario, title } of inOtherTiers) {
    const way = momentsOf(scenario);
    // An effect that isn't recorded is what a tier can do wrong.
    const cases = [...way.keys()].filter((index) => way[index]?.moment === "after");
    const run = (site: Site, after: number) => die(site, scenario, after, false);
    const name = (after: number) => `killed at ${nameOf(way[after]!)}`;
    failures.set(
      title,
      pool(() => runChain(client, cases, run, name, { config: { DEFAULT_TIER: tier } })),
    );
  }
});
afterAll(() => client.close());

describe("a process that is killed", () => {
  for (const { name } of scenarios) {
    test(`at any moment of: ${name}, leaves what the next one ends, all of it or nothing`, async () => {
      expect(await failures.get(name)).toEqual([]);
    }, 600_000);
  }

  for (const { title } of inOtherTiers) {
    test(`after any effect of: ${title}, leaves what the next one ends, all of it or nothing`, async () => {
      expect(await failures.get(title)).toEqual([]);
    }, 600_000);
  }

  test("was killed at every moment of every step that there is", () => {
    expect(allMoments().filter((name) => !hits.has(name))).toEqual([]);
  });
});

afterAll(() => {
  const file = process.env.CRASH_MATRIX_OUT;
  if (!file) return;
  const heads = ["request", "killed in", "before its effect", "after its effect", "after it was recorded"];
  const rows = scenarios.flatMap(({ name, path }) =>
    [...new Set(path)].map((step) => {
      const row = matrix.get(name)?.get(step);
      return [name, step, ...stepMoments.map((moment) => row?.get(moment) ?? "–")];
    }),
  );
  const lines = [heads, heads.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |`);
  writeFileSync(file, `${lines.join("\n")}\n`);
});
