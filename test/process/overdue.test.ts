import { afterAll, beforeAll, expect, test } from "bun:test";
import type { Db, MongoClient } from "mongodb";
import { createClient } from "../../src/lib/mongo/client.ts";
import { createLogger } from "../../src/log.ts";
import { createOverdueWatch } from "../../src/process/overdue.ts";
import { freshDatabaseName } from "../support/service.ts";

let client: MongoClient;
let db: Db;
beforeAll(async () => {
  client = await createClient(process.env.MONGODB_URL!).connect();
  db = client.db(freshDatabaseName());
});
afterAll(async () => {
  await db.dropDatabase();
  await client.close();
});

const range = { $range: [0, 2_500] };
const sum = (added: unknown) => ({ $reduce: { input: range, initialValue: 0, in: { $add: ["$$value", added] } } });

test("a statement that runs on after twice its time is reported once, and those in time are not", async () => {
  const told: Record<string, unknown>[] = [];
  const log = createLogger("warn", { write: (line) => void told.push(JSON.parse(line)) });
  const look = createOverdueWatch({ db, log }, 0, 100);
  await db.collection("numbers").insertOne({ n: 1 });
  // Others work on the same server.
  const ours = () => told.filter(({ ns }) => String(ns).startsWith(`${db.databaseName}.`));
  await look();
  expect(ours()).toEqual([]);

  let ended = false;
  // What Croupier itself would refuse to send: some seconds, within which nobody looks at the time.
  const longer = db
    .collection("numbers")
    .aggregate([{ $set: { sum: sum(sum(1)) } }], { maxTimeMS: 100 })
    .toArray()
    .catch((error) => error)
    .finally(() => (ended = true));
  while (!ended && ours().length === 0) await look();
  await look();
  await longer;
  expect(ours()).toEqual([
    expect.objectContaining({ operation: "aggregate", ns: `${db.databaseName}.numbers`, level: expect.anything() }),
  ]);
}, 60_000);
