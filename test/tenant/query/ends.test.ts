// Expressions of the allowed grammar over a document with arrays of 100,000 elements: each ends in its time, and in the
// database too. EXPRESSION_RUNS sets how many.
import { afterAll, beforeAll, expect, test } from "bun:test";
import fc from "fast-check";
import { type Document, MongoClient } from "mongodb";
import { printExtendedJson } from "../../../src/lib/extended-json.ts";
import { isFailure } from "../../../src/lib/failure.ts";
import { readPipeline } from "../../../src/tenant/query/pipeline.ts";
import { anyExpression, largeDocument } from "../../support/any-expression.ts";
import { freshDatabaseName } from "../../support/service.ts";

const runs = Number(process.env.EXPRESSION_RUNS ?? 15);
const arrayLength = 100_000;
const maxTimeMS = 10_000;
const graceMs = 1_000;

let client: MongoClient;
let name: string;
beforeAll(async () => {
  client = await MongoClient.connect(process.env.MONGODB_URL!);
  name = freshDatabaseName();
  await client.db(name).collection<{ _id: string }>("large").insertOne(largeDocument(arrayLength));
}, 60_000);
afterAll(async () => {
  await client.db(name).dropDatabase();
  await client.close();
});

const isPermitted = (expression: unknown): boolean => {
  try {
    readPipeline([{ $project: { r: expression } }]);
    return true;
  } catch (error) {
    if (isFailure(error) && error.failure === "expression_too_costly") return false;
    throw error;
  }
};
/** What the database works on in ours: MongoDB asks its threads, FerretDB `pg_stat_activity`. */
async function running(): Promise<Document[]> {
  const { inprog } = await client.db("admin").command({ currentOp: 1, active: true });
  return (inprog as Document[]).filter(({ ns }) => ns === `${name}.large`);
}

test(
  `none of ${runs} random expressions is still running a second after its answer or time-out`,
  async () => {
    const slowest = { ms: 0, expression: "" };
    const codes: Record<string, number> = {};
    const permitted = anyExpression.filter(isPermitted);
    await fc.assert(
      fc.asyncProperty(permitted, async (expression) => {
        const startMs = performance.now();
        // The size of it only: what comes out may be large.
        const pipeline = [{ $project: { r: { $type: expression } } }];
        const answer = client.db(name).collection("large").aggregate(pipeline, { maxTimeMS }).toArray();
        const outcome = await answer.then(
          () => "answered",
          (error) => String(error.code),
        );
        codes[outcome] = (codes[outcome] ?? 0) + 1;
        const ms = performance.now() - startMs;
        if (ms > slowest.ms) Object.assign(slowest, { ms, expression: printExtendedJson(expression) });
        if (ms > maxTimeMS + graceMs) throw new Error(`${Math.round(ms)} ms`);
        const deadlineMs = performance.now() + graceMs;
        while ((await running()).length > 0) {
          if (performance.now() > deadlineMs) throw new Error(`still running: ${printExtendedJson(await running())}`);
          await Bun.sleep(50);
        }
      }),
      { numRuns: runs, endOnFailure: true },
    );
    if (process.env.EXPRESSION_RUNS) console.log(codes, slowest);
    expect(codes.answered ?? 0).toBeGreaterThan(runs / 4);
  },
  60_000 + runs * 3_000,
);

/** Runs a stage as a tenant's query would be; null when the database refuses it. */
const run = async (fields: Document): Promise<Document | null> => {
  const pipeline = readPipeline([{ $set: fields }, { $project: { n: 0, s: 0, l: 0, text: 0 } }]);
  const found = client.db(name).collection("large").aggregate(pipeline, { maxTimeMS });
  return found.next().catch(() => null);
};

test("a computed field is set in an object, and nothing is computed for each element of an array", async () => {
  const made = await run({ "a.b": { $size: "$n" }, c: { d: { e: "$k" } }, "o.seen": true });
  expect(made).toMatchObject({ a: { b: arrayLength }, c: { d: { e: 7 } } });
  expect(made!.o[arrayLength - 1]).toMatchObject({ p: arrayLength - 1, seen: true });
  const startMs = performance.now();
  expect(await run({ "o.sum": { $sum: "$n" } })).toBeNull();
  expect(await run({ o: { copy: "$n" } })).toBeNull();
  expect(performance.now() - startMs).toBeLessThan(maxTimeMS / 2);
}, 60_000);
