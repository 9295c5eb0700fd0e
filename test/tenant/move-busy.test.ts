import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { type Document, ObjectId } from "mongodb";
import { flows } from "../../src/flows/index.ts";
import { changeDocument } from "../../src/document/change.ts";
import { newWriteId } from "../../src/document/document.ts";
import { insertDocuments } from "../../src/document/insert.ts";
import { move, type MoveOperation, type MoveProgress } from "../../src/flows/move/move.ts";
import { driveAbandoned, enqueue } from "../../src/operation/drive.ts";
import type { Operation, StepDeps, StepObserver } from "../../src/operation/operation.ts";
import { findById, operations } from "../../src/operation/store.ts";
import { type OperationView, viewOperation } from "../../src/operation/view.ts";
import { getById } from "../../src/organization/store.ts";
import { countNotes, writeNotes } from "../../src/tenant/copy/journal.ts";
import type { Placement, Tier } from "../../src/tenant/placement.ts";
import type { TenantDocument } from "../../src/tenant/stored.ts";
import { collectionOf, type Fleet, type Lodger, openFleet, stored } from "../support/fleet.ts";
import { startProxy } from "../support/proxy.ts";

/** `MOVE_DOCUMENTS=300000 MOVE_WRITES=300` makes it large. */
const documentsMax = Number(process.env.MOVE_DOCUMENTS ?? 20_000);
const writesPerSecond = Number(process.env.MOVE_WRITES ?? 100);
/** A move of twice as many may take twice as long, on a slow machine too. */
const moveMsMax = 120_000 + documentsMax * 2;
setDefaultTimeout(moveMsMax + 120_000);

let fleet: Fleet;
const commands: { name: string; collection: string; limit: unknown }[] = [];
beforeAll(async () => {
  const url = new URL(process.env.MONGODB_URL!);
  url.searchParams.set("monitorCommands", "true");
  fleet = await openFleet({ MONGODB_URL: url.href });
  fleet.db.client.on("commandStarted", ({ commandName: name, command }) => {
    commands.push({ name, collection: String(command[name]), limit: command.limit });
  });
}, 60_000);
afterAll(() => fleet.close(), 60_000);

const textOf = (n: number) => `id ${String(n).padStart(9, "0")}`;
/** Others come before these in the order of their ids. */
const firstNumber = 100_000_000;

async function settleWith(count: number, tier: Tier = "professional"): Promise<Lodger> {
  const lodger = await fleet.settle(tier);
  for (let start = 0; start < count; start += 5_000) {
    const ids = Array.from({ length: Math.min(5_000, count - start) }, (_, n) => textOf(firstNumber + start + n));
    await collectionOf(fleet.db, lodger.placement).insertMany(stored(lodger.placement, ids, { value: 0 }));
  }
  return lodger;
}

const startMove = async ({ _id }: Lodger, tier: Tier, { deps } = fleet): Promise<ObjectId> =>
  (await enqueue(deps, { _id: new ObjectId(), organization_id: _id, kind: "move", input: { tier } }))!._id;

async function drive(id: ObjectId, onStep: StepObserver, { db, deps } = fleet): Promise<Operation> {
  for (const deadline = Date.now() + moveMsMax; Date.now() < deadline;) {
    await operations(db)
      .updateOne({ _id: id, open: true }, { $set: { "lease.until": new Date(0) } })
      .catch(() => {});
    await driveAbandoned({ ...deps, onStep }, moveMsMax).catch(() => {});
    const operation = await findById(db, id).catch(() => null);
    if (operation && operation.status !== "running") return operation;
  }
  throw new Error(`not at its end in ${moveMsMax} ms`);
}

/** On a machine that stands still others take over, and each begins anew. */
const oncePerDriver = ({ history }: Operation, phase: string): boolean => {
  const drivers = history.filter(({ step }) => step === phase).map(({ fence }) => fence);
  return drivers.length > 0 && new Set(drivers).size === drivers.length;
};
const placeOf = async ({ _id }: Lodger): Promise<Placement> => (await getById(fleet.db, _id)).placement!;

/** Inserts before everything that is there, and counts up in ten documents, again and again without a pause. */
function startWriting({ _id }: Lodger) {
  let stopped = false;
  let failed = 0;
  const inserted: string[] = [];
  const counted = new Map<string, number>();
  const insert = async (n: number) => {
    const id = textOf(firstNumber - n);
    await insertDocuments(fleet.deps, _id, [{ id, fields: { value: n } }], { id: newWriteId() });
    inserted.push(id);
  };
  const change = async (n: number) => {
    const id = textOf(firstNumber + (n % 10));
    const more = ({ fields }: TenantDocument) => ({ fields: { value: Number((fields as Document).value) + 1 } });
    await changeDocument(fleet.deps, _id, id, () => true, more);
    counted.set(id, (counted.get(id) ?? 0) + 1);
  };
  const run = async () => {
    const startMs = performance.now();
    const under = new Set<Promise<void>>();
    for (let n = 1; !stopped; n++) {
      await Bun.sleep(startMs + (n * 1000) / writesPerSecond - performance.now());
      const writing: Promise<void> = (n % 2 === 0 ? insert(n) : change(n))
        .catch(() => void failed++)
        .finally(() => under.delete(writing));
      under.add(writing);
      if (under.size >= 50) await Promise.race(under);
    }
    await Promise.all(under);
  };
  const running = run();
  return {
    async stop() {
      stopped = true;
      await running;
      return { inserted, counted, failed };
    },
  };
}

describe("a move of a tenant that is written to without a pause", () => {
  test("ends, in a time that its size sets, and loses nothing", async () => {
    const lodger = await settleWith(documentsMax);
    const writing = startWriting(lodger);
    const began = performance.now();
    const seen = new Map<string, OperationView>();
    const operation = await drive(await startMove(lodger, "enterprise"), (now, moment) => {
      if (moment === "recorded") seen.set(now.step, viewOperation(flows, now, new Date()));
    });
    const tookMs = performance.now() - began;
    const { inserted, counted, failed } = await writing.stop();
    console.log({ documentsMax, writesPerSecond, tookMs: Math.round(tookMs), written: inserted.length * 2, failed });
    expect(operation.status).toBe("succeeded");
    expect(operation.attempts ?? 0).toBe(0);
    expect(oncePerDriver(operation, "verify")).toBe(true);
    expect(tookMs).toBeLessThan(moveMsMax);
    for (const step of ["copy", "verify", "drain"]) expect(seen.get(step)?.documents_left).toBeGreaterThanOrEqual(0);

    const collection = collectionOf(fleet.db, await placeOf(lodger));
    expect(inserted.length).toBeGreaterThan(10);
    expect(await collection.countDocuments({ _id: { $in: inserted as never[] } })).toBe(inserted.length);
    expect(await collection.countDocuments({ _id: { $gte: textOf(firstNumber) as never } })).toBe(documentsMax);
    for (const [id, count] of counted) {
      const found = await collection.findOne({ _id: id as never });
      expect(found!.value).toBeGreaterThanOrEqual(count);
      expect(found!.value).toBeLessThanOrEqual(count + failed);
    }
  });

  test("compares everything once, however much differs then, and nothing in its gate counts or goes through all", async () => {
    const count = 12_000;
    const lodger = await settleWith(count);
    const source = collectionOf(fleet.db, lodger.placement);
    const away = textOf(firstNumber + 7_000);
    let gateFrom = 0;
    let inGate: typeof commands = [];
    const operation = await drive(await startMove(lodger, "enterprise"), async ({ step, progress }, moment) => {
      if (step === "verify" && moment === "before" && progress.compared === 0) {
        // By other clients, so that no writer notes them.
        await source.updateMany({ _id: { $lt: away as never } }, { $set: { value: 1 } });
        await source.deleteMany({ _id: { $gte: away as never, $lt: textOf(firstNumber + 7_500) as never } });
        const ids = Array.from({ length: 1_500 }, (_, n) => textOf(n));
        await source.insertMany(stored(lodger.placement, ids, { value: 1 }));
        commands.length = 0;
      }
      if (step === "gate" && moment === "before") gateFrom = commands.length;
      if (step === "gate" && moment === "after") inGate = commands.slice(gateFrom);
    });
    expect(operation.status).toBe("succeeded");
    expect(oncePerDriver(operation, "verify")).toBe(true);
    const collection = collectionOf(fleet.db, await placeOf(lodger));
    expect(await collection.countDocuments()).toBe(count + 2 + 1_500 - 500);
    expect(await collection.countDocuments({ value: 1 })).toBe(7_000 + 2 + 1_500);

    // Each driver's stage has a name of its own.
    const whole = commands.filter(({ collection, limit }) => /~s\d+$/.test(collection) && limit === 1_000);
    const last = whole.filter(({ collection }) => collection === whole.at(-1)!.collection);
    expect(last.length).toBeGreaterThan(count / 1_000);
    expect(last.length).toBeLessThan((count / 1_000) * 1.7);
    const ofTenant = inGate.filter(({ collection }) => collection !== "move_notes" && collection !== "organizations");
    expect(inGate.length).toBeGreaterThan(0);
    expect(ofTenant.filter(({ name }) => name === "aggregate" || name === "count")).toEqual([]);
    expect(whole.filter((one) => inGate.includes(one))).toEqual([]);
  });
});

test("a drain that leaves no fewer notes, however often it looks, fails and says why; with fewer it begins to count anew", async () => {
  const { db, deps } = fleet;
  const lodger = await fleet.settle("professional");
  const collection = collectionOf(db, lodger.placement);
  const ids = Array.from({ length: 2_500 }, (_, n) => textOf(n));
  await collection.insertMany(stored(lodger.placement, ids, { unlike: 1 }));
  const stage = { ...lodger.placement, collection: `${lodger.placement.collection}~s1` };
  // What never arrives is as good as what is written again and again.
  await collectionOf(db, stage).createIndex({ unlike: 1 }, { unique: true });
  const _id = new ObjectId();
  await writeNotes(db, _id, [...ids, ...ids]);
  const held = { assertHeld() {}, keepHeld: async () => {}, proveHeld: async () => {}, mayTake() {} };
  const drainWith = (fewest: number, vain: number) => {
    const pace = { step: "drain", since: new Date(), from: 0, done: 0, left: 5_000 };
    const progress = { from: lodger.placement, stage, fence: 1, verified: false, copied: 0, fewest, vain, pace };
    const operation = { _id, organization_id: lodger._id, kind: "move", step: "drain", progress, lease: { guard: 1 } };
    return move.steps.drain!({ ...deps, ...held } as StepDeps, operation as unknown as MoveOperation);
  };
  for (let fewest = 5_000; fewest > 2_499;) {
    const next = (await drainWith(fewest, 9)) as { go: string; progress: MoveProgress };
    const left = next.progress.fewest!;
    expect(left).toBeLessThan(fewest);
    expect(next).toMatchObject({ go: "drain", progress: { vain: 0, pace: { done: 5_000 - left, left } } });
    fewest = left;
  }
  expect(await countNotes(db, _id)).toBe(2_499);
  expect(await drainWith(2_499, 0)).toMatchObject({ go: "drain", progress: { fewest: 2_499, vain: 1 } });
  await expect(drainWith(2_499, 9)).rejects.toThrow("more is written than can be copied");
  await collectionOf(db, stage).drop();
  await db.collection("move_notes").deleteMany({ operation_id: _id });
});

test("a gate that a silent database holds closed is a failure that counts, and opens again", async () => {
  const proxy = await startProxy(process.env.MONGODB_URL!);
  const slow = await openFleet({ MONGODB_URL: proxy.url, PLACEMENT_LEASE_MS: "2000" });
  const db = fleet.db.client.db(slow.db.databaseName);
  try {
    const lodger = await slow.settle("professional");
    const isClosed = async () => (await getById(db, lodger._id)).move?.phase === "gate";
    const silence = async () => {
      while (!(await isClosed())) await Bun.sleep(10);
      proxy.hang();
      // Longer than a statement waits.
      await Bun.sleep(4_500);
      await proxy.forward();
    };
    let silent: Promise<void> | undefined;
    const operation = await drive(
      await startMove(lodger, "enterprise", slow),
      ({ step }, moment) => {
        if (step === "gate" && moment === "before") silent ??= silence();
      },
      slow,
    );
    await silent;
    expect({ status: operation.status, attempts: operation.attempts }).toEqual({ status: "succeeded", attempts: 1 });
  } finally {
    await slow.close();
    await proxy.close();
  }
});
