import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { isDeepStrictEqual } from "node:util";
import type { MongoClient } from "mongodb";
import { createClient } from "../../src/lib/mongo/client.ts";
import { type RunningService, startService } from "../../src/serve.ts";
import { createLogger } from "../../src/log.ts";
import { driveAbandoned } from "../../src/operation/drive.ts";
import {
  chunksOf,
  createFirsts,
  createPool,
  inFull,
  momentsOf,
  nameOf,
  runChain,
  type Site,
} from "../support/chain.ts";
import { until } from "../support/crash.ts";
import { countOpenOperations } from "../support/invariants.ts";
import {
  assertReusable,
  assertWhole,
  type Scenario,
  scenarios,
  settle,
  signIn,
  type Target,
  type Tenant,
  type World,
} from "../support/scenarios.ts";
import { newcomer, send, testConfig } from "../support/service.ts";

/** What happens while the process is stopped, after another one has ended its operation; and what must hold afterwards. */
type Meanwhile = {
  name: string;
  of: string[];
  happen?(at: Target, world: World): Promise<Tenant[]>;
  /** `tenants` are those that `happen` returned. */
  holds(at: Target, world: World, scenario: Scenario, tenants: Tenant[]): Promise<void>;
};

const asTenant = ({ tenant, changes }: World, belongings = tenant.belongings): Tenant =>
  ({ ...tenant, ...changes, belongings }) as Tenant;

async function assertSignsIn(at: Target, tenant: Tenant): Promise<void> {
  const { status, body } = await signIn(at, tenant);
  expect({ of: tenant.organization_name, status, id: body.organization_id }).toEqual({
    of: tenant.organization_name,
    status: 200,
    id: tenant.id,
  });
}

async function assertAll(at: Target, world: World, tenants: Tenant[]): Promise<void> {
  const all = [...world.others, ...tenants];
  await assertWhole(
    at,
    all.map(({ belongings }) => belongings),
  );
  for (const tenant of all) await assertSignsIn(at, tenant);
}

const everything = "rename with email and password";

const meanwhiles: Meanwhile[] = [
  {
    name: "nothing else happens",
    of: ["create", "create, name taken", "create, email taken", "create over leftovers"],
    // What arrives late may stay, hidden, until somebody wants the name or the email: then it must give way.
    async holds(at, world) {
      const isFree = (key: "organization_name" | "email") =>
        world.others.every((other) => other[key] !== world.tenant[key]);
      const wanted = {
        ...newcomer(),
        ...(isFree("organization_name") && { organization_name: world.tenant.organization_name }),
        ...(isFree("email") && { email: world.tenant.email }),
      };
      if (world.others.length === 0 || (isFree("organization_name") && isFree("email"))) {
        const signedIn = await signIn(at, world.tenant);
        if (signedIn.status === 200) {
          const gone = await send(at.url, "DELETE", "/org/delete", { token: signedIn.body.access_token });
          expect(gone.status).toBe(204);
        }
      }
      await assertReusable(at, wanted);
      await assertAll(at, world, []);
    },
  },
  {
    name: "the same create is sent again",
    of: ["create"],
    happen: async (at, { tenant }) => {
      // It may have been finished instead of undone; then it is there already.
      const signedIn = await signIn(at, tenant);
      if (signedIn.status === 200) {
        const gone = await send(at.url, "DELETE", "/org/delete", { token: signedIn.body.access_token });
        expect(gone.status).toBe(204);
      }
      return [await settle(at, { ...tenant })];
    },
    holds: (at, world, _, tenants) => assertAll(at, world, tenants),
  },
  {
    name: "nothing else happens",
    of: ["rename", everything, "rename, name taken, with a new email", "rename, email taken", "delete"],
    holds: async (at, world, scenario) => void (await scenario.outcome(at, world)),
  },
  {
    name: "somebody takes the old name and email",
    of: [everything],
    async happen(at, world) {
      const { organization_name, email } = world.tenant;
      const taker = { ...newcomer(), organization_name, ...(world.changes.email && { email }) };
      return [asTenant(world), await settle(at, taker)];
    },
    holds: (at, world, _, tenants) => assertAll(at, world, tenants),
  },
  {
    name: "it is changed once more",
    of: [everything],
    async happen(at, world) {
      const third = { ...newcomer("third"), password: "Third-Horse-9" };
      const changed = await send(at.url, "PUT", "/org/update", { body: third, token: world.tenant.token ?? "" });
      expect(changed.status).toBe(200);
      return [{ ...asTenant(world), ...third }];
    },
    holds: (at, world, _, tenants) => assertAll(at, world, tenants),
  },
  {
    name: "it is changed once more and others take both old names and emails",
    of: [everything],
    async happen(at, world) {
      const third = { ...newcomer("third"), password: "Third-Horse-9" };
      const changed = await send(at.url, "PUT", "/org/update", { body: third, token: world.tenant.token ?? "" });
      expect(changed.status).toBe(200);
      const { tenant, changes } = world;
      const first = { ...newcomer(), organization_name: tenant.organization_name, email: tenant.email };
      const second = { ...newcomer(), ...changes, password: first.password };
      return [{ ...asTenant(world), ...third }, await settle(at, first), await settle(at, second)];
    },
    holds: (at, world, _, tenants) => assertAll(at, world, tenants),
  },
  {
    name: "it is removed",
    of: [everything],
    async happen(at, { tenant }) {
      const gone = await send(at.url, "DELETE", "/org/delete", { token: tenant.token ?? "" });
      expect(gone.status).toBe(204);
      return [];
    },
    async holds(at, world) {
      await assertReusable(at, asTenant(world));
      await assertAll(at, world, []);
    },
  },
  {
    name: "somebody takes the email that was asked for",
    of: ["rename, name taken, with a new email"],
    async happen(at, { tenant, changes }) {
      return [tenant as Tenant, await settle(at, { ...newcomer(), email: changes.email ?? "" })];
    },
    holds: (at, world, _, tenants) => assertAll(at, world, tenants),
  },
  {
    name: "somebody takes name and email",
    of: ["delete"],
    happen: async (at, { tenant: { organization_name, email, password } }) => [
      await settle(at, { organization_name, email, password }),
    ],
    holds: (at, world, _, tenants) => assertAll(at, world, tenants),
  },
];

/** Long enough for a step on a slow machine, short enough to be waited for. */
const leaseMs = 2_000;

const attemptsMax = 5;

async function stall(site: Site, scenario: Scenario, after: number, meanwhile: Meanwhile): Promise<void> {
  const { child, db } = site;
  const way = momentsOf(scenario)
    .slice(0, after + 1)
    .map(nameOf);
  const other = await otherOn(site);
  const at = { url: other.url, db };
  const end = async () => {
    await driveAbandoned(other.deps, 10_000);
    return (await countOpenOperations(db)) === 0;
  };
  for (let attempt = 1; attempt <= attemptsMax; attempt++) {
    const world = await scenario.prepare(at);
    await child.arm({ after, signal: "SIGSTOP" });
    let answered = false;
    const answer = scenario
      .request(child.url, world)
      .catch((error) => error)
      .finally(() => (answered = true));
    const stopped = async () => child.moments.length > after && (await child.isStopped());
    await until(`the process to stop at ${after}`, async () => answered || (await stopped()));
    // A machine that is too busy may lose it its lease before: then it isn't there yet.
    if (answered || !isDeepStrictEqual(child.moments.map(nameOf), way)) {
      child.signal("SIGCONT");
      await answer;
      await until("the operations to end", end);
      continue;
    }
    await until("the lease to run out and the other process to end the operation", end);
    const tenants = (await meanwhile.happen?.(at, world)) ?? [];
    child.signal("SIGCONT");
    expect((await answer).status).toBeNumber();
    await until("the operations to end", end);
    await meanwhile.holds(at, world, scenario, tenants);
    return;
  }
  throw new Error(`was never stopped there in ${attemptsMax} attempts`);
}

const others = new Map<string, Promise<RunningService>>();
/** The process that goes on: this one. */
const otherOn = ({ db }: Site): Promise<RunningService> =>
  others.getOrInsertComputed(db.databaseName, async () => {
    const config = testConfig({ MONGODB_DB_NAME: db.databaseName, OPERATION_LEASE_MS: "60000" });
    const other = await startService(config, createLogger("silent"));
    await other.ready;
    return other;
  });

let client: MongoClient;
const failures = new Map<string, Promise<string[]>>();
const cases = meanwhiles.flatMap((meanwhile) =>
  scenarios.filter(({ name }) => meanwhile.of.includes(name)).map((scenario) => ({ meanwhile, scenario })),
);
/** `bun run test:long` has all moments; else it is every second of a request, and every sixth for what else may happen
 *  meanwhile: the seed says the first. */
const [sampled, sampledAgain] = inFull ? [1, 1] : [2, 6];
const seed = Number(process.env.CRASH_SEED || Math.floor(Math.random() * sampledAgain));
const every = <T>(all: readonly T[], nth: number): T[] => all.filter((_, index) => (index + seed) % nth === 0);
const titleOf = ({ meanwhile, scenario }: (typeof cases)[number]) => `${scenario.name}, while ${meanwhile.name}`;

beforeAll(() => {
  client = createClient(process.env.MONGODB_URL!);
  const pool = createPool(6);
  const firsts = createFirsts();
  const met = new Set<Scenario>();
  for (const one of cases) {
    const way = momentsOf(one.scenario);
    const all = [...way.keys()].filter((index) => way[index]?.moment !== "recorded");
    const isAgain = met.has(one.scenario);
    met.add(one.scenario);
    const places = isAgain ? every(all, sampledAgain) : every(firsts(way, all), sampled);
    const chains = chunksOf(places, 6).map((chain) =>
      pool(() =>
        runChain(
          client,
          chain,
          (site, after) => stall(site, one.scenario, after, one.meanwhile),
          (after) => `stopped at ${nameOf(way[after]!)}`,
          { leaseMs },
        ),
      ),
    );
    failures.set(
      titleOf(one),
      Promise.all(chains).then((all) => all.flat()),
    );
  }
});
afterAll(async () => {
  for (const other of others.values()) await (await other).stop();
  await client.close();
});

describe("a process that goes on after another has ended its operation does no harm", () => {
  for (const one of cases) {
    test(
      titleOf(one),
      async () => {
        expect(await failures.get(titleOf(one))).toEqual([]);
      },
      600_000,
    );
  }
});
