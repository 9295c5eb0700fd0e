import { expect, setDefaultTimeout, test } from "bun:test";
import { ObjectId } from "mongodb";
import { flows } from "../../src/flows/index.ts";
import { driveAbandoned, enqueue } from "../../src/operation/drive.ts";
import type { Operation } from "../../src/operation/operation.ts";
import { findById, operations } from "../../src/operation/store.ts";
import { viewOperation } from "../../src/operation/view.ts";
import { collectionOf, stored, useFleet } from "../support/fleet.ts";

setDefaultTimeout(60_000);

const fleet = useFleet();

test("whoever takes a move over is not credited with what its predecessor copied", async () => {
  const { deps, db } = fleet;
  const { _id, placement } = await fleet.settle("professional");
  const ids = Array.from({ length: 900 }, () => new ObjectId());
  await collectionOf(db, placement).insertMany(stored(placement, ids));
  const wanted = { _id: new ObjectId(), organization_id: _id, kind: "move" as const, input: { tier: "enterprise" } };
  const { _id: id } = (await enqueue(deps, wanted))!;

  const dying = async (operation: Operation) => {
    if (operation.step === "copy" && operation.progress.copied > 0) throw new Error("killed");
  };
  const slowly = { ...deps, config: { ...deps.config, moveDocumentsPerSecond: 400 }, onStep: dying };
  await driveAbandoned(slowly, 30_000);
  await operations(db).updateOne({ _id: id }, { $set: { "lease.until": new Date(0) } });

  let taken: Operation | undefined;
  const onStep = (operation: Operation) => {
    const { step, progress, lease } = operation;
    if (step === "copy" && progress.fence === lease.guard) taken ??= operation;
  };
  await driveAbandoned({ ...deps, onStep }, 30_000);
  const { copied, pace } = taken!.progress;
  expect(copied).toBeGreaterThan(0);
  const at = (seconds: number) => new Date(pace.since.getTime() + seconds * 1000);
  const shown = {
    documents_copied: copied,
    documents_left: 902 - copied,
    documents_per_second: null,
    seconds_left: null,
  };
  expect(viewOperation(flows, taken!, at(1))).toMatchObject(shown);
  const later = { ...taken!, progress: { ...taken!.progress, pace: { ...pace, done: copied + 100, left: 500 } } };
  expect(viewOperation(flows, later, at(2))).toMatchObject({ documents_per_second: 50, seconds_left: 10 });
  const elsewhere = { documents_left: null, documents_per_second: null, seconds_left: null };
  expect(viewOperation(flows, { ...later, step: "gate" }, at(2))).toMatchObject(elsewhere);
  expect((await findById(db, id))!.status).toBe("succeeded");
});
