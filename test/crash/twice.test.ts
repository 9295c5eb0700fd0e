import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { MongoClient } from "mongodb";
import { createClient } from "../../src/lib/mongo/client.ts";
import {
  chunksOf,
  createPool,
  inFull,
  letLeasesRunOut,
  momentsOf,
  nameOf,
  placesOf,
  runChain,
  type Site,
  untilTakenOver,
} from "../support/chain.ts";
import { type Scenario, scenarios } from "../support/scenarios.ts";

const steps = (kind: string, ...names: string[]) => names.map((name) => `${kind}/${name}`);

/** What the process passes that takes over when the first has died in the first step: a create is undone. */
const takenOver: Record<string, string[]> = {
  create: steps("provision", "organization", "undo"),
  "rename with email and password": steps(
    "update",
    "email",
    "organization",
    "admin",
    "place",
    "close",
    "seal",
    "rename",
    "placement",
  ),
  "rename, name taken, with a new email": steps("update", "email", "organization", "undo_name_taken"),
  delete: steps("remove", "hide", "locate", "storage", "admins", "organization"),
};

/** `bun run test:long` has every pair of moments; else it is every fourth, of which the seed says the first. */
const sampled = inFull ? 1 : 4;
const seed = Number(process.env.CRASH_SEED || Math.floor(Math.random() * sampled));

type Case = { first: number; second: number };

/** One process dies, the next one dies while it ends what that left, and a third finds what is left now. */
async function dieTwice(site: Site, scenario: Scenario, { first, second }: Case): Promise<void> {
  const { child, db } = site;
  const world = await scenario.prepare({ url: child.url, db });
  await child.arm({ after: first, signal: "SIGKILL" });
  expect(await scenario.request(child.url, world).catch(() => "no answer")).toBe("no answer");
  expect(await child.died).toBe("SIGKILL");

  await letLeasesRunOut(db);
  const next = await site.start({ after: second, signal: "SIGKILL" });
  let signal: unknown = null;
  void next.died.then((name) => (signal = name));
  const hasDied = async () => signal !== null && next.moments.length > second;
  await untilTakenOver(db, `the second process to die at ${second}`, hasDied);
  expect({ signal, moments: next.moments.length }).toEqual({ signal: "SIGKILL", moments: second + 1 });

  await letLeasesRunOut(db);
  const third = await site.start();
  await site.quiet();
  await scenario.outcome({ url: third.url, db }, world);
}

let client: MongoClient;
const failures = new Map<string, Promise<string[]>>();

beforeAll(() => {
  client = createClient(process.env.MONGODB_URL!);
  const pool = createPool(4);
  for (const [name, path] of Object.entries(takenOver)) {
    const scenario = scenarios.find((one) => one.name === name)!;
    const way = momentsOf(scenario);
    const every = placesOf(momentsOf({ path })).map((second): Case => ({ first: 1, second }));
    // And in each other step, both after an effect that wasn't recorded.
    const afters = [...way.keys()].filter((index) => way[index]?.moment === "after" && index > 1);
    const all = [...every, ...afters.map((first): Case => ({ first, second: 1 }))];
    const cases = all.filter((_, index) => (index + seed) % sampled === 0);
    const describe = ({ first, second }: Case) => `killed at ${nameOf(way[first]!)}, then ${second} moments later`;
    const chains = chunksOf(cases, 7).map((chain) =>
      pool(() => runChain(client, chain, (site, one) => dieTwice(site, scenario, one), describe)),
    );
    failures.set(
      name,
      Promise.all(chains).then((all) => all.flat()),
    );
  }
});
afterAll(() => client.close());

describe("a process that is killed while it ends what another left", () => {
  for (const name of Object.keys(takenOver)) {
    test(`at any moment of: ${name}, leaves what a third one ends`, async () => {
      expect(await failures.get(name)).toEqual([]);
    }, 600_000);
  }
});
