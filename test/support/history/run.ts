import { MongoClient } from "mongodb";
import { makeOperatorKey } from "../operator.ts";
import { startProxy } from "../proxy.ts";
import { createRandom } from "../random.ts";
import { freshDatabaseName } from "../service.ts";
import { check, type Verdict, type Violation } from "./check.ts";
import { type Access, get, list } from "./client.ts";
import { faultNamed, type World } from "./faults.ts";
import { startFleet } from "./fleet.ts";
import { createRecorder, type History, saveHistory } from "./history.ts";
import {
  awaitMove,
  dropAll,
  findLeftBehind,
  listIndexes,
  makeIndexes,
  makeTenant,
  placementOf,
  readStored,
  startMove,
  type Tenant,
  type Tier,
} from "./tenant.ts";
import { preload, startWorkload, type Workload } from "./workload.ts";

export type MoveRun = {
  seed: number;
  from: Tier;
  to: Tier;
  /** The name of a fault, see faults.ts. */
  fault: string;
  databaseUrl: string;
  documents?: number;
  processes?: number;
  clients?: number;
  /** How long the clients go on when the move has ended. */
  afterMs?: number;
  /** How long what was left at the old placement may stay: what arrives there late is swept up later. */
  sweepMs?: number;
  /** How long the move may take. */
  moveMs?: number;
  /** More settings of the processes. */
  config?: Record<string, string>;
  /** A crash-child.ts of another copy of the code, for all processes, or for each. */
  program?: string;
  programOf?: (index: number) => string | undefined;
  killPrimary?: () => Promise<void>;
  /** Where the history goes when it is found wrong. */
  saveTo?: string;
};

export type RunVerdict = Verdict & {
  seed: number;
  /** Whether the fault came about. */
  happened: boolean;
  status: string;
  resumed: number;
  moveMs: number;
};

/** One tenant is moved while clients write to it and something goes wrong; then its history is judged, and a neighbour's. */
export async function runMoveHistory(run: MoveRun): Promise<RunVerdict> {
  const {
    seed,
    from,
    to,
    databaseUrl,
    documents = 300,
    processes = 3,
    clients = 6,
    afterMs = 700,
    moveMs: moveMsMax = 90_000,
  } = run;
  const fault = faultNamed(run.fault);
  const random = createRandom(seed);
  const client = new MongoClient(databaseUrl, { writeConcern: { w: "majority" } });
  const db = client.db(freshDatabaseName());
  const proxy = fault.throughProxy ? await startProxy(databaseUrl) : null;
  const fleet = await startFleet({
    size: processes,
    databaseName: db.databaseName,
    leaseMs: fault.leaseMs ?? 1_500,
    config: {
      MONGODB_URL: proxy?.url ?? databaseUrl,
      DEFAULT_TIER: from,
      PLACEMENT_LEASE_MS: "300",
      ...run.config,
    },
    ...(fault.configOf && { configOf: fault.configOf }),
    programOf: run.programOf ?? (() => run.program),
  });
  const tenants: Tenant[] = [];
  const workloads: Workload[] = [];
  const world: World = { fleet, random, proxy, ...(run.killPrimary && { killPrimary: run.killPrimary }) };
  const urls = () => fleet.targets.map(({ url }) => url);
  try {
    const platform = { urls, operatorKey: await makeOperatorKey(db) };
    const recorder = createRecorder();
    const [moved, neighbour] = [await makeTenant(urls()[0]!, `m-${seed}`), await makeTenant(urls()[0]!, `n-${seed}`)];
    tenants.push(moved, neighbour);
    // A neighbour in the same shared collection is the one that could notice.
    if (to === "starter" && from !== "starter") {
      await awaitMove(platform, await startMove(platform, neighbour, "starter"), moveMsMax);
    }
    const parties = [
      { owner: "m", tenant: moved, clients },
      { owner: "n", tenant: neighbour, clients: 2 },
    ].map((party) => {
      const access: Access = {
        token: party.tenant.token,
        targets: fleet.targets,
        recorder: createRecorder(recorder.now),
      };
      return { ...party, access, indexesBefore: [] as string[] };
    });
    for (const party of parties) {
      const otherKeys = await preload(party.access, party.owner, party.owner === "m" ? documents : 30);
      party.indexesBefore = await makeIndexes(urls()[0]!, party.tenant);
      const settings = { owner: party.owner, seed, clients: party.clients, otherKeys, pauseMs: 8 };
      workloads.push(startWorkload(party.access, settings));
    }
    await Bun.sleep(random.between(200, 600));

    const injected = await fault.inject(world);
    const startedMs = performance.now();
    const operationId = await startMove(platform, moved, to);
    const { operation, resumed } = await awaitMove(platform, operationId, moveMsMax).catch(async (error) => {
      await injected.heal();
      throw error;
    });
    const moveMs = performance.now() - startedMs;
    await injected.heal();
    await Bun.sleep(afterMs);
    await Promise.all(workloads.map(({ stop }) => stop()));

    const violations: Violation[] = [];
    if (operation.status !== "succeeded") {
      const message = `${operation.status} in ${operation.phase}: ${JSON.stringify(operation.error)}`;
      violations.push({ rule: "move failed", key: null, message });
    }
    const histories: History[] = [];
    for (const [index, { owner, tenant, access, indexesBefore }] of parties.entries()) {
      const end = { client: "end", process: 0 };
      for (const key of workloads[index]!.hotKeys) await get(access, end, key);
      await list(access, end, 1_000);
      const placement = await placementOf(db, tenant);
      const final = {
        stored: await readStored(client, placement, recorder.now),
        leftBehind: await sweptUp(() => findLeftBehind(client, db, tenant, placement), run.sweepMs ?? 45_000),
        indexesBefore,
        indexesAfter: await listIndexes(urls()[0]!, tenant),
      };
      histories.push({
        owner,
        others: ["m", "n"].filter((other) => other !== owner),
        events: [...access.recorder.events],
        final,
      });
    }
    const verdicts = histories.map(check);
    violations.push(...verdicts.flatMap((verdict) => verdict.violations), ...findOddAnswers(histories));
    if (violations.length > 0 && run.saveTo) {
      const { killPrimary: _, ...about } = run;
      await saveHistory(run.saveTo, { ...about, operation, violations }, histories);
    }
    const counts = { ...verdicts[0]!.counts, neighbour: verdicts[1]!.counts.events! };
    return { violations, counts, seed, happened: injected.happened(), status: operation.status, resumed, moveMs };
  } finally {
    await Promise.all(workloads.map(({ stop }) => stop()));
    await fleet.end();
    await proxy?.close();
    await dropAll(client, db, tenants);
    await client.close();
  }
}

async function sweptUp(find: () => Promise<string[]>, patienceMs: number): Promise<string[]> {
  const deadline = performance.now() + patienceMs;
  for (;;) {
    const left = await find();
    if (left.length === 0 || performance.now() > deadline) return left;
    await Bun.sleep(500);
  }
}

const asked = [200, 201, 204, 404, 409, 412, 503];

/** The workload asks nothing that is wrong: so no answer says so, and none says that something went wrong inside. */
function findOddAnswers(histories: History[]): Violation[] {
  const odd = histories
    .flatMap(({ events }) => events)
    .filter(
      ({ status, outcome }) =>
        status !== null && (!asked.includes(status) || (status === 409 && outcome === "unknown")),
    );
  return odd.map(({ kind, key, status, client }) => ({
    rule: "odd answer",
    key,
    message: `${status} to ${kind} of ${client}`,
  }));
}
