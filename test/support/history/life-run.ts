import { type Db, MongoClient } from "mongodb";
import { startLateProxy, type LateProxy } from "../late-proxy.ts";
import { makeOperatorKey } from "../operator.ts";
import { createRandom } from "../random.ts";
import { dropAll, freshDatabaseName } from "../service.ts";
import { describeOpenOperations, findViolations } from "../invariants.ts";
import { check, dirtyRead, type Verdict, type Violation } from "./check.ts";
import { get, list } from "./client.ts";
import { startFleet } from "./fleet.ts";
import { createRecorder, type History, saveHistory } from "./history.ts";
import { startFault } from "./life-faults.ts";
import {
  findOddAnswers,
  findPersonal,
  findStrays,
  findWrongBulks,
  longestRefusal,
  refusedMsMax,
} from "./life-judge.ts";
import { lines, liveLine, settleIndexes, type World } from "./life-line.ts";
import { listIndexes, placementOf, readStored } from "./tenant.ts";

export type LifeRun = {
  seed: number;
  /** The name of a fault, see life-faults.ts. */
  fault: string;
  databaseUrl: string;
  /** How many things happen to each line of organizations, one after the other. */
  actions?: number;
  /** How long what was left may stay. */
  sweepMs?: number;
  /** Whether records of removed organizations may name them no more. */
  personal?: boolean;
  config?: Record<string, string>;
  /** A crash-child.ts of another copy of the code, for all processes, or for each. */
  program?: string;
  programOf?: (index: number) => string | undefined;
  saveTo?: string;
};

export type LifeVerdict = Verdict & { seed: number; happened: boolean };

/** Organizations come, are renamed, moved, filled and removed while clients write and something goes wrong; then all is judged. */
export async function runLife(run: LifeRun): Promise<LifeVerdict> {
  const { seed, databaseUrl, actions = 12, sweepMs = 40_000 } = run;
  const random = createRandom(seed);
  const client = new MongoClient(databaseUrl, { writeConcern: { w: "majority" } });
  const db = client.db(freshDatabaseName());
  const proxies: LateProxy[] = [];
  for (let index = 0; index < 3; index++) proxies.push(await startLateProxy(databaseUrl));
  const fleet = await startFleet({
    size: proxies.length,
    databaseName: db.databaseName,
    leaseMs: 1_500,
    config: { PLACEMENT_LEASE_MS: "300", ...run.config },
    configOf: (index) => ({ MONGODB_URL: proxies[index]!.url }),
    programOf: run.programOf ?? (() => run.program),
  });
  const [hit, ...others] = fleet.targets;
  const violations: Violation[] = [];
  const wrong = (rule: string, message: string) => void violations.push({ rule, key: null, message });
  const recorder = createRecorder();
  let [over, number] = [false, 0];
  const world: World = {
    seed,
    platform: { urls: () => others.map(({ url }) => url), operatorKey: await makeOperatorKey(db) },
    targets: [hit!, ...others, ...others],
    recorder,
    instances: [],
    nextNumber: () => ++number,
    actions,
    wrong,
    calls: [],
    isOver: () => over,
  };
  const fault = startFault(run.fault, db.databaseName, {
    ...{ fleet, proxies, random: createRandom(seed + 1) },
    made: () => world.instances.length,
  });
  try {
    const living = Promise.all(
      Array.from({ length: lines }, (_, number) =>
        liveLine(world, createRandom(seed * 17 + number), number).catch((error) => wrong("stuck", String(error))),
      ),
    );
    await Promise.race([living, Bun.sleep(livingMsMax)]);
    over = true;
    const happened = await fault.end();
    await living;
    const { instances, calls } = world;
    for (const one of instances) await Promise.all(one.bulks.map(({ ended }) => ended));
    const alive = instances.filter(({ removingMs }) => removingMs === Infinity);
    for (const one of alive) {
      await settleIndexes(world, random, one).catch((error) => wrong("stuck", String(error)));
    }
    await quiet(() => describeOpenOperations(db), operationsMsMax).then((open) => open && wrong("stuck", open));
    await Promise.all(instances.map(({ workload }) => workload.stop()));

    const left = await empty(() => findStrays(db, instances), sweepMs);
    for (const message of left) wrong("left behind", message);
    for (const message of left.length > 0 ? [] : await empty(() => findBroken(db), sweepMs))
      wrong("not whole", message);
    if (run.personal) for (const message of await findPersonal(db, instances)) wrong("named still", message);

    const histories: History[] = [];
    for (const one of instances) {
      const { owner, access, workload, id, name } = one;
      const end = { client: "end", process: 1 };
      const isAlive = alive.includes(one);
      const tenant = { id, name, token: access.token };
      let final: History["final"] = { stored: null, leftBehind: [], indexesBefore: [], indexesAfter: [] };
      if (isAlive) {
        for (const key of workload.hotKeys) await get(access, end, key);
        await list(access, end, 1_000);
        const placement = await placementOf(db, tenant);
        const stored = await readStored(client, placement, recorder.now, { bulk: { $exists: false } });
        violations.push(...(await findWrongBulks(db, one, placement)));
        const indexesBefore = [...one.indexes.values()];
        const indexesAfter = await listIndexes(others[0]!.url, tenant).catch((error) => {
          wrong("stuck", String(error));
          return indexesBefore;
        });
        final = { ...final, stored, indexesBefore, indexesAfter };
      }
      const all = instances.map((other) => other.owner).filter((other) => other !== owner);
      histories.push({ owner, others: all, events: [...access.recorder.events], final });
      const refusedMs = longestRefusal(access.recorder.events, (process) => process === 0);
      if (refusedMs > refusedMsMax(instances)) wrong("refused too long", `${owner} for ${Math.round(refusedMs)} ms`);
    }
    const verdicts = histories.map(check);
    violations.push(...verdicts.flatMap((verdict) => verdict.violations), ...findOddAnswers(instances, calls));
    const counts = {
      requests: calls.length + sum(verdicts.map(({ counts }) => counts.events!)),
      unknown: sum(verdicts.map(({ counts }) => counts.unknown!)),
      organizations: instances.length,
      removed: instances.length - alive.length,
      renames: calls.filter(({ what, status }) => what === "rename" && status === 200).length,
      bulks: sum(instances.map(({ bulks }) => bulks.length)),
      dirty: violations.filter(({ rule }) => rule === dirtyRead).length,
      refusedMs: Math.round(
        Math.max(...instances.map(({ access }) => longestRefusal(access.recorder.events, (process) => process === 0))),
      ),
      faults: happened,
    };
    // What stands still for longer than a lease makes these, in runs without a fault of the code too.
    const found = violations.filter(({ rule }) => rule !== dirtyRead);
    if (found.length > 0 && run.saveTo) await saveHistory(run.saveTo, { ...run, violations: found, calls }, histories);
    return { violations: found, counts, seed, happened: run.fault === "none" || happened > 0 };
  } finally {
    over = true;
    await fault.end().catch(() => {});
    await fleet.end();
    for (const proxy of proxies) await proxy.close();
    await Promise.all(world.instances.map(({ workload }) => workload.stop()));
    await dropAll(db);
    await client.close();
  }
}

/** A busy machine takes long over moves of tens of thousands of documents. */
const [livingMsMax, operationsMsMax] = [5 * 60_000, 3 * 60_000];

const sum = (all: number[]) => all.reduce((a, b) => a + b, 0);

/** What belongs to whom shows by the documents' values here, not by their ids. */
const findBroken = async (db: Db): Promise<string[]> =>
  (await findViolations(db)).filter((violation) => !violation.includes("holds another's documents"));

/** Asks until there is nothing, or no time. @returns what there is then */
async function empty(find: () => Promise<string[]>, patienceMs: number): Promise<string[]> {
  for (const untilMs = performance.now() + patienceMs; ;) {
    const found = await find();
    if (found.length === 0 || performance.now() > untilMs) return found;
    await Bun.sleep(500);
  }
}
const quiet = async (describe: () => Promise<string>, patienceMs: number): Promise<string> =>
  (await empty(async () => [await describe()].filter(Boolean), patienceMs)).join();
