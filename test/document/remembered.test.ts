import { expect, test } from "bun:test";
import { ObjectId } from "mongodb";
import { refusedBefore } from "../../src/document/idempotency.ts";

const record = { _id: "x", organization_id: new ObjectId(), request: "r", write_id: "w", ids: [], done: true };

test("what an insert has refused is the same when it is sent again, also if a version before has done it", () => {
  const refused = [{ index: 1, because: "id_taken" as const }];
  const before = { ...record, created_at: new Date(), refused: refused as never };
  expect(refusedBefore(before)).toEqual(refused as never);
  expect(refusedBefore({ ...record, created_at: new Date() })).toEqual([]);
});
