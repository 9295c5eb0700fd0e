import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { type Document, ObjectId } from "mongodb";
import { createDeps } from "../../src/boot.ts";
import { createClient } from "../../src/lib/mongo/client.ts";
import { startService } from "../../src/serve.ts";
import type { Deps } from "../../src/deps.ts";
import { postDocuments } from "../../src/document/post.ts";
import { version } from "../../src/lib/version.ts";
import { createLogger } from "../../src/log.ts";
import { driveAbandoned, enqueue } from "../../src/operation/drive.ts";
import type { Operation, OperationKind, StepMoment } from "../../src/operation/operation.ts";
import { findById } from "../../src/operation/store.ts";
import { getById } from "../../src/organization/store.ts";
import { readStored } from "../../src/tenant/stored.ts";
import { collectionOf, type Fleet, openFleet } from "../support/fleet.ts";
import { dropAll, testConfig } from "../support/service.ts";

setDefaultTimeout(60_000);

const longLeaseMs = 1_000;
/** Two processes on one database: one with short leases, which moves, and one with long leases, which writes. */
let fleet: Fleet;
let writing: Deps & { close(): Promise<void> };

beforeAll(async () => {
  fleet = await openFleet({ PLACEMENT_LEASE_MS: "20" });
  const { databaseName } = fleet.db;
  const settings = { MONGODB_DB_NAME: databaseName, PLACEMENT_LEASE_MS: String(longLeaseMs), PASSWORD_WORKERS: "1" };
  const config = testConfig(settings);
  writing = await createDeps(config, createClient(config.mongodbUrl), createLogger("silent"));
  await writing.presence.announce();
}, 60_000);
afterAll(async () => {
  await writing.close();
  await fleet.close();
}, 60_000);

/** Writes one document after the other until it is told to end. @returns the ids of those that were acknowledged */
function startWriting(organizationId: ObjectId) {
  const acknowledged: string[] = [];
  let ended = false;
  const running = Array.from({ length: 4 }, async (_, writer) => {
    for (let n = 0; !ended; n++) {
      const _id = `${writer}-${n}`;
      const sent = { text: "", value: { _id } };
      const isDone = await postDocuments(writing, organizationId, sent, undefined).then(
        () => true,
        () => false,
      );
      if (isDone) acknowledged.push(_id);
      await Bun.sleep(3);
    }
  });
  return async () => {
    ended = true;
    await Promise.all(running);
    return acknowledged;
  };
}

/** @returns how long each step took, the last time that it was taken, in milliseconds */
async function driveToEnd(
  organization_id: ObjectId,
  kind: OperationKind,
  input: Document,
): Promise<Record<string, number>> {
  const took: Record<string, number> = {};
  let beganMs = 0;
  const onStep = ({ step }: Operation, moment: StepMoment) => {
    if (moment === "before") beganMs = performance.now();
    if (moment === "after") took[step] = performance.now() - beganMs;
  };
  const operation = (await enqueue(fleet.deps, { _id: new ObjectId(), organization_id, kind, input }))!;
  for (let turn = 0; (await findById(fleet.db, operation._id))!.open; turn++) {
    if (turn > 100) throw new Error(`no end of ${kind}`);
    await driveAbandoned({ ...fleet.deps, onStep }, 30_000);
  }
  expect(await findById(fleet.db, operation._id)).toMatchObject({ status: "succeeded" });
  return took;
}

const renaming = { organization_name: `renamed-${process.pid}`, admin_id: new ObjectId(), updated_at: new Date() };

test.each([
  ["a move", "starter", "move", { tier: "enterprise" }, { journal: longLeaseMs, gate: longLeaseMs / 2 }],
  ["a rename", "professional", "update", renaming, { close: longLeaseMs }],
] as const)(
  "%s by a process with short leases waits for one with long leases, and loses nothing that it acknowledges",
  async (_, tier, kind, input, waits) => {
    const { _id } = await fleet.settle(tier);
    const stop = startWriting(_id);
    await Bun.sleep(100);
    const took = await driveToEnd(_id, kind, input);
    const acknowledged = await stop();
    for (const [step, leaseMs] of Object.entries(waits)) expect(took[step], step).toBeGreaterThan(leaseMs);
    expect(acknowledged.length).toBeGreaterThan(20);
    const { placement } = await getById(fleet.db, _id);
    const found = await collectionOf(fleet.db, placement!).find({ tenant_id: placement!.key }).toArray();
    const there = new Set(found.map((document) => readStored(placement!, document).id));
    expect(acknowledged.filter((id) => !there.has(id))).toEqual([]);
  },
);

test("a process with long leases is waited for when an organization is removed, and no more when it has stopped", async () => {
  const remove = async () => {
    const { _id } = await fleet.settle("professional");
    return (await driveToEnd(_id, "remove", {})).locate;
  };
  expect(await remove()).toBeGreaterThan(longLeaseMs);
  await writing.presence.stop();
  expect(await remove()).toBeLessThan(longLeaseMs);
});

test("a service is known when it is ready, with its setting, and no more when it has stopped", async () => {
  const running = await startService(testConfig({ PLACEMENT_LEASE_MS: "300" }), createLogger("silent"));
  await running.ready;
  const { db, owner } = running.deps;
  const known = await fleet.db.client.db(db.databaseName).collection("processes").find().toArray();
  expect(known).toMatchObject([{ _id: owner, placement_lease_ms: 300, version, seen_at: expect.any(Date) }]);
  await running.stop();
  expect(await fleet.db.client.db(db.databaseName).collection("processes").countDocuments()).toBe(0);
  await dropAll(fleet.db.client.db(db.databaseName));
});
