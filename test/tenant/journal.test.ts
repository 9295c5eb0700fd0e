import { afterAll, beforeAll, expect, test } from "bun:test";
import { type MongoClient, ObjectId } from "mongodb";
import { createClient } from "../../src/lib/mongo/client.ts";
import { findNotes, writeNotes } from "../../src/tenant/copy/journal.ts";
import { freshDatabaseName } from "../support/service.ts";

let client: MongoClient;
const name = freshDatabaseName();
beforeAll(async () => {
  client = await createClient(process.env.MONGODB_URL!).connect();
});
afterAll(async () => {
  await client.db(name).dropDatabase();
  await client.close();
});

test("all documents are noted, however many are written or differ at once", async () => {
  const db = client.db(name);
  const operationId = new ObjectId();
  const ids = Array.from({ length: 60_000 }, (_, n) => n);
  await writeNotes(db, operationId, []);
  await writeNotes(db, operationId, ids);
  const noted = (await findNotes(db, operationId, 100_000, null)).map(({ id }) => Number(id));
  expect(noted.sort((a, b) => a - b)).toEqual(ids);
});
