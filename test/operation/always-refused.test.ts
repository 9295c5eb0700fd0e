import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import type { Document } from "mongodb";
import type { Report } from "../../src/fleet/doctor.ts";
import { resumeOperation } from "../../src/organization/move.ts";
import { removeOrganization } from "../../src/organization/remove.ts";
import { getById } from "../../src/organization/store.ts";
import type { Actor } from "../../src/session/session.ts";
import { tiers } from "../../src/tenant/placement.ts";
import { findOpen } from "../../src/operation/store.ts";
import { collectionOf, type Fleet, type Lodger, openFleet } from "../support/fleet.ts";
import { type Command, type RefusingProxy, refusal, type Rule, startRefusingProxy } from "../support/refusing-proxy.ts";
import { driveOn, leftOf, meet, reload, type Stuck, type Trouble, ways, whatIsLeft } from "../support/stuck.ts";

// ALWAYS_REFUSED=TEXT bun run test test/operation/always-refused.test.ts: each statement of each step that has the text in its
// name, like `move/gate` or `never comes`; all for `: `. It takes long.
const wanted = process.env.ALWAYS_REFUSED;
const patienceMs = wanted ? 3 * 60 * 60_000 : 120_000;
setDefaultTimeout(patienceMs);

const tries = 2;
/** So long a step that gets no answer is waited for; one of a deletion on a busy machine takes longer than an answer that never comes. */
const [lostMs, deletionMs] = [1_500, 8_000];

/** Why a statement of a step comes to nothing, however often it is tried. */
const causes: Record<string, (command: Command) => Document | "lost"> = {
  "the right to it lacks": refusal,
  "the server fails at it": () => ({ ok: 0, code: 8, codeName: "UnknownError", errmsg: "planted" }),
  "the server takes too long": () => ({ ok: 0, code: 50, codeName: "MaxTimeMSExpired", errmsg: "planted" }),
  "its answer never comes": () => "lost",
};

let proxy: RefusingProxy;
let fleet: Fleet;
let neighbours: Lodger[];
beforeAll(async () => {
  proxy = await startRefusingProxy(process.env.MONGODB_URL!);
  fleet = await openFleet({ MONGODB_URL: proxy.url });
  fleet.deps.patience = { attemptsMax: tries, pauseMs: () => 0, stepMs: lostMs };
  neighbours = await Promise.all(tiers.map((tier) => fleet.settle(tier)));
}, 60_000);
afterAll(async () => {
  await fleet.close();
  await proxy.close();
}, 60_000);

/** The driver's own statements, and by which the lease is held while a step runs. */
const isOfStep = ({ name, body }: Command): boolean =>
  !/^(hello|ismaster|ping|buildInfo|endSessions|killCursors|sasl\w+)$/i.test(name) &&
  !(/^(findAndModify|update)$/.test(name) && body[name] === "operations");

/** The nth statement that a step sends comes to nothing each time. */
function nth(n: number, because: (command: Command) => Document | "lost") {
  let hits = 0;
  const trouble: Trouble = (real) => async (deps, operation) => {
    let count = 0;
    const rule: Rule = (command) => {
      if (!isOfStep(command) || ++count !== n) return null;
      hits++;
      return because(command);
    };
    present = rule;
    proxy.answer(rule);
    // One that was given up ends later, perhaps in the middle of another.
    return await real(deps, operation).finally(() => present === rule && proxy.answer(null));
  };
  return { trouble, hits: () => hits };
}
let present: Rule | null = null;

type Hit = Stuck & { n: number; cause: string };

/** A few, or every statement of every step for every cause. */
async function* hits(): AsyncGenerator<Hit> {
  const names = Object.keys(causes);
  const all = ways.flatMap((way) => names.map((cause) => [way, cause] as const));
  // The last is one of those that kept a deletion from winning.
  const few = [
    ...all.filter((_, index) => index % (4 * names.length + 1) === names.length),
    ...all.filter(([{ name }, cause]) => name === "move/clean (1)" && cause === "the server takes too long"),
  ];
  for (const [way, cause] of wanted ? all.filter(([{ name }, cause]) => `${name}: ${cause}`.includes(wanted)) : few) {
    for (let n = 1; n <= (wanted ? Infinity : 1); n++) {
      const { trouble, hits } = nth(n, causes[cause]!);
      const stuck = await meet(fleet, way, trouble);
      yield { ...stuck, name: `${way.name}: ${cause}, of statement ${n}`, n, cause };
      if (hits() === 0) break;
    }
  }
}

describe("a statement that always comes to nothing, of whatever step,", () => {
  const all: Hit[] = [];
  let reports: Report[] = [];
  beforeAll(async () => {
    for await (const one of hits()) all.push(one);
    reports = await fleet.examine();
  }, patienceMs);

  test("ends the operation or stops it after so many tries, which the doctor sees, with no more than the cause", async () => {
    const wrong: unknown[] = [];
    for (const { name, id } of all) {
      const { status, attempts = 0, error } = await reload(fleet, id);
      const found = reports
        .filter((one) => "operation_id" in one && one.operation_id === id.toHexString())
        .map(({ finding }) => finding);
      const isRight =
        status === "stopped"
          ? [1, tries].includes(attempts) && Bun.deepEquals(found, ["operation_stopped"])
          : status !== "running" && found.length === 0;
      if (!isRight || /execute command \{|planted/.test(JSON.stringify(error)))
        wrong.push({ name, status, attempts, error, found });
    }
    expect(wrong).toEqual([]);
  });

  test("keeps nobody from deleting the organization, of which nothing stays", async () => {
    const others = all.filter(({ kind }) => !["provision", "discard", "remove"].includes(kind));
    const wrong: unknown[] = [];
    for (const { name, lodger, deps } of others) {
      const actor = { organizationId: lodger._id } as Actor;
      const patient = { ...deps, patience: { ...deps.patience, stepMs: deletionMs } };
      await removeOrganization(patient, actor).catch((error) => wrong.push({ name, error }));
    }
    expect([...wrong, ...(await remainsOf(others))]).toEqual([]);
  });

  test("is passed when it is mended and the operation resumed, deletions and creations too", async () => {
    const own = all.filter(({ kind }) => ["provision", "discard", "remove"].includes(kind));
    const wrong: unknown[] = [];
    for (const { name, id, lodger } of own) {
      if ((await reload(fleet, id)).status === "stopped") await resumeOperation(fleet.deps, id);
      while ((await findOpen(fleet.db, lodger._id))?.status === "running") await driveOn(fleet.deps, lodger);
      const { status, error } = await reload(fleet, id);
      if (!["succeeded", "failed"].includes(status)) wrong.push({ name, status, error });
    }
    expect([...wrong, ...(await remainsOf(own.filter(({ kind }) => kind === "remove")))]).toEqual([]);
  });

  test("doesn't touch another organization", async () => {
    for (const { _id, placement } of neighbours) {
      expect(await collectionOf(fleet.db, placement).countDocuments({ tenant_id: placement.key })).toBe(2);
      expect(await getById(fleet.db, _id)).toMatchObject({ status: "active", placement });
    }
  });
});

/** What is left of those that are removed. */
async function remainsOf(removed: Hit[]): Promise<unknown[]> {
  const left = await whatIsLeft(fleet);
  return removed.map((one) => ({ name: one.name, left: leftOf(one, left) })).filter(({ left }) => left.length > 0);
}
