// Expressions of the allowed grammar over a document with arrays of 100,000 elements: each ends in its time, and in the
// database too. EXPRESSION_RUNS sets how many.
import { afterAll, beforeAll, expect, test } from "bun:test";
import fc from "fast-check";
import { type Document, MongoClient } from "mongodb";
import { printExtendedJson } from "../../../src/lib/json/extended-json.ts";
import { type Engine, engineOf } from "../../../src/lib/mongo/engine.ts";
import { isFailure } from "../../../src/lib/failure.ts";
import { copyTexts } from "../../../src/tenant/query/cost/copied-text.ts";
import { readPipeline } from "../../../src/tenant/query/pipeline.ts";
import { anyExpression, largeDocument } from "../../support/any-expression.ts";
import { freshDatabaseName } from "../../support/service.ts";

const runs = Number(process.env.EXPRESSION_RUNS ?? 15);
const arrayLength = 100_000;
const maxTimeMS = 10_000;
const graceMs = 1_000;

let client: MongoClient;
let name: string;
let engine: Engine;
beforeAll(async () => {
  client = await MongoClient.connect(process.env.MONGODB_URL!);
  engine = await engineOf(client);
  name = freshDatabaseName();
  await client.db(name).collection<{ _id: string }>("large").insertOne(largeDocument(arrayLength));
}, 60_000);
afterAll(async () => {
  await client.db(name).dropDatabase();
  await client.close();
});

/** As a tenant's would be sent; null when it costs too much. The size of what it gives only, as that may be large. */
function permitted(expression: unknown): Document[] | null {
  try {
    readPipeline([{ $project: { r: expression } }]);
    const pipeline = readPipeline([{ $project: { r: { $type: expression } } }]);
    return engine === "ferretdb" ? copyTexts(pipeline) : pipeline;
  } catch (error) {
    if (isFailure(error) && error.failure === "expression_too_costly") return null;
    throw error;
  }
}
const isPermitted = (expression: unknown): boolean => permitted(expression) !== null;
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
    let bound = 0;
    await fc.assert(
      fc.asyncProperty(anyExpression.filter(isPermitted), async (expression) => {
        const pipeline = permitted(expression)!;
        if (JSON.stringify(pipeline).includes('"outer0_')) bound++;
        const startMs = performance.now();
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
    if (process.env.EXPRESSION_RUNS) console.log(codes, slowest, { bound });
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

test("a loop of 100,000 rounds ends that counts with a value from outside or compares it, however large that is", async () => {
  const operations = ["$eq", "$gt", "$and"].flatMap((name) =>
    ["$k", "$o", "$text"].map((of) => ({ [name]: ["$$this", of] })),
  );
  for (const each of [...operations, { $type: "$o" }, { $isArray: "$text" }, { $add: ["$$this", "$k"] }]) {
    const pipeline = permitted({ $map: { input: "$n", in: each } })!;
    const startMs = performance.now();
    await client.db(name).collection("large").aggregate(pipeline, { maxTimeMS }).toArray();
    expect(performance.now() - startMs, printExtendedJson(each)).toBeLessThan(maxTimeMS / 2);
  }
}, 120_000);
