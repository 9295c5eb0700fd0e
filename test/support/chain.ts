import type { Db, MongoClient } from "mongodb";
import { flows } from "../../src/flows/index.ts";
import { operations } from "../../src/operation/store.ts";
import type { StepMoment } from "../../src/operation/operation.ts";
import { type Child, type Moment, startChild, until } from "./crash.ts";
import { countOpenOperations } from "./invariants.ts";
import type { Scenario } from "./scenarios.ts";
import { dropAll, freshDatabaseName } from "./service.ts";

export const stepMoments: StepMoment[] = ["before", "after", "recorded"];
export const nameOf = ({ kind, step, moment }: Moment): string => `${kind}/${step} ${moment}`;

/** Every moment of the scenario's way, in the order in which it is passed. */
export const momentsOf = ({ path }: Pick<Scenario, "path">): Moment[] =>
  path.flatMap((name) => {
    const [kind = "", step = ""] = name.split("/");
    return stepMoments.map((moment) => ({ kind, step, moment }));
  });

/**
 * Which of these moments are to be tried. Nothing happens between the record of one step and the beginning of the next, so of
 * these two the later is enough.
 */
export const placesOf = (moments: readonly Moment[]): number[] =>
  [...moments.keys()].filter((index) => moments[index]!.moment !== "recorded" || index === moments.length - 1);

/** Whether every request is interrupted at each of its moments; else each moment of a step is tried in the first that comes to it. */
export const inFull = process.env.CRASH_MATRIX === "full" || Boolean(process.env.CRASH_MATRIX_OUT);

/** Those of some moments of a way that none before had, or all: of each moment of each step, by each way to it, the first. */
export function createFirsts(): (way: readonly Moment[], places: readonly number[]) => number[] {
  const tried = new Set<string>();
  const passed = (way: readonly Moment[], index: number) =>
    way
      .slice(Math.max(0, index - 1), index + 1)
      .map(nameOf)
      .join();
  return (way, places) => {
    const firsts = places.filter((index) => inFull || !tried.has(passed(way, index)));
    for (const index of firsts) tried.add(passed(way, index));
    return firsts;
  };
}

/** Moves, and what workers start, are killed under load by `move-history.test.ts` and `stamp.test.ts`. */
const killedElsewhere = new Set(["move", "stamp", "index", "sweep"]);

/** No request comes to it: what an operator cancels, `always-fails.test.ts` has it fail and go on. */
const cancelledByOperators = "update/undo_cancelled";

/** Every moment of every step that a request of an organization waits for. */
export const allMoments = (): string[] =>
  Object.entries(flows)
    .filter(([kind]) => !killedElsewhere.has(kind))
    .flatMap(([kind, flow]) => Object.keys(flow.steps).map((step) => `${kind}/${step}`))
    .filter((step) => step !== cancelledByOperators)
    .flatMap((step) => momentsOf({ path: [step] }))
    .map(nameOf);

/** As if as much time had passed as the leases last: no test has to wait for it, and no slow machine loses one by chance. */
export async function letLeasesRunOut(db: Db): Promise<void> {
  await operations(db).updateMany({ open: true }, { $set: { "lease.until": new Date(0) } });
}

/**
 * Waits for what comes about when another process takes over. A look for work that a killed process had sent may arrive when it
 * is dead, and takes a lease that nobody uses: that runs out, too.
 */
export async function untilTakenOver(db: Db, what: string, ask: () => Promise<boolean>): Promise<void> {
  let sinceMs = performance.now();
  await until(what, async () => {
    if (await ask()) return true;
    if (performance.now() - sinceMs > 5_000) {
      await letLeasesRunOut(db);
      sinceMs = performance.now();
    }
    return false;
  });
}

const longLeaseMs = 60_000;

/** A database of its own and the process that serves it now; when that has died, the next one takes its place. */
export type Site = {
  readonly db: Db;
  readonly child: Child;
  start(plan?: Parameters<typeof startChild>[0]["plan"]): Promise<Child>;
  /** Waits until no operation is open. */
  quiet(): Promise<void>;
  end(): Promise<void>;
};

async function openSite(client: MongoClient, leaseMs: number, config: Record<string, string> = {}): Promise<Site> {
  const databaseName = freshDatabaseName();
  const db = client.db(databaseName);
  const start = (plan?: Parameters<typeof startChild>[0]["plan"]) =>
    startChild({ databaseName, leaseMs, config, ...(plan && { plan }) });
  let child = await start();
  return {
    db,
    get child() {
      return child;
    },
    async start(plan) {
      await child.end();
      child = await start(plan);
      return child;
    },
    quiet: () => untilTakenOver(db, "the operations to end", async () => (await countOpenOperations(db)) === 0),
    async end() {
      await child.end();
      await dropAll(db);
    },
  };
}

/**
 * Runs the cases one after the other on one database, where each finds what the one before left, until one fails: the next
 * has a fresh one. @returns what went wrong
 */
export async function runChain<Case>(
  client: MongoClient,
  cases: Case[],
  run: (site: Site, one: Case) => Promise<void>,
  describe: (one: Case) => string,
  { leaseMs = longLeaseMs, config = {} }: { leaseMs?: number; config?: Record<string, string> } = {},
): Promise<string[]> {
  const failures: string[] = [];
  let site: Site | null = null;
  for (const one of cases) {
    site ??= await openSite(client, leaseMs, config);
    try {
      await run(site, one);
    } catch (error) {
      failures.push(`${describe(one)}: ${error instanceof Error ? error.message : String(error)}`);
      await site.end();
      site = null;
    }
  }
  await site?.end();
  return failures;
}

/** Runs jobs, some at a time, in the order in which they come. */
export function createPool(atATime: number): <T>(job: () => Promise<T>) => Promise<T> {
  let running = 0;
  const waiting: (() => void)[] = [];
  return async (job) => {
    if (running >= atATime) await new Promise<void>((resolve) => waiting.push(resolve));
    running++;
    try {
      return await job();
    } finally {
      running--;
      waiting.shift()?.();
    }
  };
}

/** Parts of at most so many. */
export const chunksOf = <T>(all: T[], size: number): T[][] =>
  Array.from({ length: Math.ceil(all.length / size) }, (_, index) => all.slice(index * size, (index + 1) * size));
