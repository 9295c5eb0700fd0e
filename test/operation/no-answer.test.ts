import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { MongoClient, ObjectId } from "mongodb";
import { flows } from "../../src/flows/index.ts";
import { isFailure } from "../../src/lib/failure.ts";
import { closeInTime } from "../../src/lib/mongo/mongo.ts";
import { driveAbandoned, enqueue } from "../../src/operation/drive.ts";
import type { StepDeps } from "../../src/operation/operation.ts";
import { findById, findOpen } from "../../src/operation/store.ts";
import { readBatch } from "../../src/tenant/copy/copy.ts";
import { collectionOf, type Fleet, openFleet, stored } from "../support/fleet.ts";
import { startSwallowingProxy, type SwallowingProxy } from "../support/swallow.ts";

setDefaultTimeout(60_000);

let proxy: SwallowingProxy;
let fleet: Fleet;
beforeAll(async () => {
  proxy = await startSwallowingProxy(process.env.MONGODB_URL!);
  fleet = await openFleet({ MONGODB_URL: proxy.url, OPERATION_LEASE_MS: "400" });
}, 60_000);
afterAll(async () => {
  proxy.swallow(null);
  await fleet.close();
  await proxy.close();
}, 60_000);

const megabyte = "x".repeat(1024 * 1024);

test("a batch is read though the end of its cursor is never acknowledged", async () => {
  const { db } = fleet;
  const { placement } = await fleet.settle("professional");
  const ids = Array.from({ length: 20 }, (_, n) => n);
  await collectionOf(db, placement).insertMany(stored(placement, ids.slice(0, 10), { megabyte }));
  await collectionOf(db, placement).insertMany(stored(placement, ids.slice(10), { megabyte }));
  proxy.swallow("killCursors");
  try {
    const batch = await readBatch(fleet.deps.deployments, placement, null);
    expect(batch.length).toBeGreaterThan(3);
    expect(batch.length).toBeLessThan(20);
    expect(proxy.swallowed()).toBe(1);
  } finally {
    proxy.swallow(null);
  }
});

test("the next batch of a cursor, which no signal reaches, is waited for as long as the connection may be silent", async () => {
  const client = new MongoClient(proxy.url, { socketTimeoutMS: 300 });
  const { placement } = await fleet.settle("professional");
  const cursor = collectionOf(client.db(), placement).find({}, { batchSize: 1 });
  await cursor.next();
  const before = proxy.swallowed();
  proxy.swallow("getMore");
  try {
    const error = await cursor.next().then(
      () => null,
      (error: Error) => error,
    );
    expect(error?.name).toBe("MongoNetworkTimeoutError");
    expect(proxy.swallowed()).toBe(before + 1);
  } finally {
    proxy.swallow(null);
    await closeInTime(cursor);
    await client.close();
  }
  // What the service's own client has is longer, but finite.
  expect(fleet.db.client.options.socketTimeoutMS).toBe(30_000);
});

test("a step that gets no answer is given up, counts as failed, and holds nothing from then on", async () => {
  const { db } = fleet;
  const { _id: organization_id } = await fleet.settle("professional");
  const given = Promise.withResolvers<void>();
  const late: (boolean | null)[] = [];
  const waiting = async ({ keepHeld, assertHeld }: StepDeps) => {
    await given.promise;
    for (const ask of [keepHeld, async () => assertHeld()]) {
      const error = await ask().then(
        () => null,
        (error: unknown) => error,
      );
      late.push(isFailure(error) && error.failure === "operation_pending");
    }
    return { done: true as const };
  };
  const deps = {
    ...fleet.deps,
    patience: { stepMs: 2_500, pauseMs: () => 0 },
    flows: { ...flows, stamp: { ...flows.stamp!, steps: { ...flows.stamp!.steps, mark: waiting } } },
  };
  const wanted = { _id: new ObjectId(), organization_id, kind: "stamp" as const, input: {} };
  await enqueue(deps, wanted);
  const stopping = new AbortController();
  const driving = driveAbandoned(deps, 30_000, stopping.signal, { organization_id });
  // Longer than a lease: in between it is held.
  await Bun.sleep(700);
  expect(await driveAbandoned(fleet.deps, 30_000, undefined, { organization_id })).toBe(0);
  // It isn't taken again by this one.
  stopping.abort();
  while (((await findById(db, wanted._id))!.attempts ?? 0) === 0) await Bun.sleep(20);
  // Another goes on, with what gets an answer.
  while (await findOpen(db, organization_id)) await driveAbandoned(fleet.deps, 30_000, undefined, { organization_id });
  expect((await findById(db, wanted._id))!.status).toBe("succeeded");
  given.resolve();
  await driving;
  while (late.length < 2) await Bun.sleep(5);
  expect(late.slice(0, 2)).toEqual([true, true]);
});
