import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type Document, ObjectId } from "mongodb";
import { createDeps } from "../../src/boot.ts";
import { prepare } from "../../src/prepare.ts";
import type { Deps } from "../../src/deps.ts";
import { aggregateDocuments, countDocuments, listDocuments } from "../../src/document/query.ts";
import { createIndex } from "../../src/document/indexes.ts";
import { type Engine, engineOf } from "../../src/lib/mongo/engine.ts";
import { createLogger } from "../../src/log.ts";
import { createOrganization } from "../../src/organization/create.ts";
import { getById } from "../../src/organization/store.ts";
import { tiers } from "../../src/tenant/placement.ts";
import { collectionOf, stored } from "../support/fleet.ts";
import { createMonitored } from "../support/monitored.ts";
import { dropAll, newcomer, testConfig } from "../support/service.ts";

const many = 3_000;
const wanted = (n: number) => n % 1_000 === 0;

let deps: Deps & { close(): Promise<void> };
let engine: Engine;
const sent: Document[] = [];
beforeAll(async () => {
  const config = testConfig();
  const client = createMonitored(config.mongodbUrl);
  client.on("commandStarted", ({ command }) => {
    if (["find", "aggregate"].some((name) => name in command)) sent.push(command);
  });
  deps = await createDeps(config, client, createLogger("silent"), undefined, client);
  await client.connect();
  await prepare(deps);
  engine = await engineOf(client);
}, 60_000);
afterAll(async () => {
  await dropAll(deps.db);
  await deps.close();
}, 60_000);

/** What the plan of a statement looked at. */
async function examined(
  databaseName: string,
  { lsid: _, $db: __, $clusterTime: ___, signal: ____, ...command }: Document,
) {
  const explain = Object.fromEntries(Object.entries(command).filter(([name]) => !name.startsWith("$")));
  const plan = await deps.db.client.db(databaseName).command({ explain, verbosity: "executionStats" });
  const stats = plan.executionStats ?? plan.stages[0].$cursor.executionStats;
  return Math.max(stats.totalKeysExamined, stats.totalDocsExamined);
}

describe.each(tiers)("a question about the elements of an array: %s", (tier) => {
  let id: ObjectId;
  beforeAll(async () => {
    const made = await createOrganization({ ...deps, config: { ...deps.config, defaultTier: tier } }, newcomer(tier));
    id = new ObjectId(made.id);
    const { placement } = await getById(deps.db, id);
    const documents = Array.from({ length: many }, (_, n) =>
      stored(placement!, [n], { scores: wanted(n) ? [1, 95] : [1, 2], tags: wanted(n) ? ["a", "b"] : ["a"] }),
    );
    await collectionOf(deps.db, placement!).insertMany(documents.flat());
  }, 60_000);

  test.each([
    ["$elemMatch", "scores", { scores: { $elemMatch: { $gt: 90, $lt: 99 } } }],
    ["$all", "tags", { tags: { $all: [{ $elemMatch: { $eq: "b" } }] } }],
  ])(
    "is sent to MongoDB as it was asked and found in an index, and answered alike by all: %s",
    async (_, field, filter) => {
      await createIndex(deps, id, { key: { [field]: 1 } } as never);
      sent.length = 0;
      const { documents } = await listDocuments(deps, id, { filter, sort: { _id: 1 } });
      const listed = ([...documents] as Document[]).map(({ _id }) => Number(_id));
      expect(listed).toEqual([0, 1_000, 2_000]);
      expect(await countDocuments(deps, id, filter)).toEqual({ count: 3 });
      const counted = await aggregateDocuments(deps, id, [{ $match: filter }, { $count: "n" }]);
      expect(Number((counted.documents as Document[])[0]?.n)).toBe(3);
      const statements = sent.filter((command) => JSON.stringify(command).includes("$elemMatch"));
      // One is asked again when its lease ran out meanwhile.
      expect(statements.length).toBeGreaterThanOrEqual(3);
      for (const { $db, ...command } of statements) {
        const isReworded = JSON.stringify(command).includes('{"$not":{"$not":{"$elemMatch"');
        expect(isReworded).toBe(engine === "ferretdb");
        // What FerretDB explains are plans of PostgreSQL, which don't say how much they looked at.
        if (engine === "mongodb") expect(await examined($db, command)).toBeLessThan(10);
      }
    },
  );
});
