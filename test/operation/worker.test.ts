import { expect, setDefaultTimeout, test } from "bun:test";
import { ObjectId } from "mongodb";
import { createIndex } from "../../src/document/indexes.ts";
import { takeBuildTurn } from "../../src/operation/build-turn.ts";
import { driveAbandoned, enqueue } from "../../src/operation/drive.ts";
import { findById, operations, start } from "../../src/operation/store.ts";
import { getById } from "../../src/organization/store.ts";
import { startWorker } from "../../src/worker.ts";
import { until } from "../support/crash.ts";
import { collectionOf, stored, useFleet } from "../support/fleet.ts";
import { newcomer } from "../support/service.ts";

setDefaultTimeout(60_000);

const fleet = useFleet();

/** More than a worker takes over at once. */
const waiting = 13;

test("an operation that died with the turn to build an index is driven though a worker has no room for more than those who wait for it", async () => {
  const { db, deps } = fleet;
  const change = JSON.stringify({ create: { name: "left", key: { left: 1 }, unique: false } });
  const { _id: organization_id } = await fleet.settle("starter");
  const dead = { _id: new ObjectId(), organization_id, kind: "index" as const, step: "apply", input: { change } };
  expect(await takeBuildTurn(db, (await start(db, dead, "killed", 60_000))!)).toBe(true);
  const ids: ObjectId[] = [];
  for (let n = 0; n < waiting; n++) {
    const { _id } = await fleet.settle("professional");
    await createIndex(deps, _id, { key: { own: 1, more: 1 } });
    const wanted = { _id: new ObjectId(), organization_id: _id, kind: "move" as const, input: { tier: "starter" } };
    ids.push((await enqueue(deps, wanted))!._id);
  }
  // It has run out later than they were asked for.
  await operations(db).updateOne({ _id: dead._id }, { $set: { "lease.until": new Date() } });
  const worker = startWorker(deps, [], { everyMs: 50, turnMs: 100 });
  try {
    const left = { _id: { $in: [dead._id, ...ids] }, status: { $ne: "succeeded" as const } };
    await until("all of them to be done", async () => (await operations(db).countDocuments(left)) === 0, 50_000);
  } finally {
    await worker.stop();
  }
});

/** More than a worker has lanes. */
const moves = 7;

test("long moves keep neither each other nor what has a gate closed from being driven, and none of them begins anew", async () => {
  const { db } = fleet;
  const deps = { ...fleet.deps, config: { ...fleet.deps.config, moveDocumentsPerSecond: 100 } };
  const ids = await Promise.all(
    Array.from({ length: moves }, async () => {
      const { _id, placement } = await fleet.settle("professional");
      await collectionOf(db, placement).insertMany(stored(placement, [...Array(5_000).keys()]));
      const wanted = { _id: new ObjectId(), organization_id: _id, kind: "move" as const, input: { tier: "starter" } };
      return (await enqueue(deps, wanted))!._id;
    }),
  );
  const all = () => Promise.all(ids.map(async (id) => (await findById(db, id))!));
  const renamed = await fleet.settle("professional");
  const name = newcomer("renamed").organization_name;
  const admin = (await db.collection("admin_users").findOne({ organization_id: renamed.id }))!;
  const input = { admin_id: admin._id, organization_name: name, updated_at: new Date() };
  const rename = (await enqueue(deps, {
    _id: new ObjectId(),
    organization_id: renamed._id,
    kind: "update" as const,
    input,
  }))!._id;
  const dying = ({ step }: { step: string }) => {
    if (step === "seal") throw new Error("killed");
  };
  await driveAbandoned({ ...deps, onStep: dying }, 30_000, undefined, { organization_id: renamed._id });
  expect((await getById(db, renamed._id)).move).toMatchObject({ phase: "gate" });
  await operations(db).updateOne({ _id: rename }, { $set: { "lease.until": new Date(Date.now() + 3_600_000) } });

  const worker = startWorker(deps, [], { everyMs: 50, turnMs: 100 });
  try {
    await until("every move to have copied", async () => (await all()).every(({ progress }) => progress.copied > 0));
    // Now its process dies.
    await operations(db).updateOne({ _id: rename }, { $set: { "lease.until": new Date(0) } });
    const endedMs = performance.now();
    await until("the rename to end", async () => (await findById(db, rename))!.status === "succeeded");
    expect(performance.now() - endedMs).toBeLessThan(5_000);
    const before = await all();
    await until("every move to have copied more", async () =>
      (await all()).every(({ progress }, n) => progress.copied > before[n]!.progress.copied),
    );
    for (const { step, status, lease, attempts } of await all()) {
      expect({ step, status, fence: lease.fence, attempts }).toEqual({
        step: "copy",
        status: "running",
        fence: 2,
        attempts: undefined,
      });
    }
  } finally {
    await worker.stop();
  }
  for (const { lease } of await all()) expect(lease.free).toBe(true);
});
