// The same questions to one tenant's documents stored in three shapes, among those of other tenants: a plain collection
// of nothing else is the measure. QUERY_RUNS sets how many questions each test asks.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import fc from "fast-check";
import { type Document, MongoClient } from "mongodb";
import { printExtendedJson } from "../../../src/lib/json/extended-json.ts";
import { assertStorable } from "../../../src/tenant/document.ts";
import { anyFilter, anyPipeline, anyProjection, anySort, wildFilter } from "../../support/any-query.ts";
import { anyDocument, anyId, flatDocument, withoutExtremes } from "../../support/bson-values.ts";
import { freshDatabaseName } from "../../support/service.ts";
import {
  aggregate,
  count,
  createShapes,
  find,
  outcome,
  type Shape,
  tenants,
  walk,
} from "../../support/tenant-shapes.ts";

const questions = Number(process.env.QUERY_RUNS ?? 200);
const questionsPerWorld = 20;
const timeout = 20_000 + questions * 200;

let client: MongoClient;
let engine: "mongodb" | "ferretdb";
let stores: ReturnType<typeof createShapes>;
beforeAll(async () => {
  client = await MongoClient.connect(process.env.MONGODB_URL!);
  const { ferretdb } = await client.db().admin().buildInfo();
  engine = ferretdb ? "ferretdb" : "mongodb";
  stores = createShapes(client.db(freshDatabaseName()), engine);
});
afterAll(async () => {
  await stores.shapes[0].collection.db.dropDatabase();
  await client.close();
});

const withId = (document: fc.Arbitrary<Document>) =>
  fc.tuple(anyId, document).map(([_id, rest]): Document => ({ _id, ...rest }));
const worldOf = (document: fc.Arbitrary<Document>) =>
  fc.record({
    mine: fc.array(withId(document), { minLength: 1, maxLength: 25 }),
    theirs: fc.array(fc.array(withId(document), { maxLength: 12 }), { minLength: 2, maxLength: 2 }),
  });
const anyWorld = worldOf(anyDocument);
// MongoDB 7.0 groups a plain collection by {"": MinKey} where it means MinKey (its engine for slots; the older one is right).
const groupedWorld = worldOf(anyDocument.map((document) => withoutExtremes(document) as Document));

const tally: Record<string, number> = {};
const note = (kind: string, result: string) => {
  const key = `${kind}, ${result.startsWith("refused") ? result.replace(/ [#?].*| undefined/, "") : "answered"}`;
  tally[key] = (tally[key] ?? 0) + 1;
};
afterAll(() => {
  if (process.env.QUERY_RUNS) console.log(tally);
});

/** Asks all three, and says what differs. */
async function same<Q>(
  kind: string,
  question: Q,
  ask: (shape: Shape, question: Q) => Promise<unknown>,
): Promise<string> {
  const [plain, ...others] = await Promise.all(stores.shapes.map((shape) => outcome(() => ask(shape, question))));
  others.forEach((other, index) => {
    if (other === plain) return;
    const { name } = stores.shapes[index + 1]!;
    throw new Error(`${kind} ${printExtendedJson(question)}\n--- plain\n${plain}\n--- ${name}\n${other}`);
  });
  note(kind, plain!);
  return plain!;
}

const check = <Q>(
  world: typeof anyWorld,
  question: fc.Arbitrary<Q>,
  ask: (question: Q, documents: Document[]) => Promise<void>,
) =>
  fc.assert(
    fc.asyncProperty(
      world,
      fc.array(question, { minLength: questionsPerWorld, maxLength: questionsPerWorld }),
      async (each, list) => {
        const documents = await stores.fill(each);
        for (const one of list) await ask(one, documents);
      },
    ),
    { numRuns: Math.ceil(questions / questionsPerWorld), endOnFailure: true },
  );

describe("a tenant's answers are those of a plain collection of its own, in every tier", () => {
  test(
    "filters: find and count",
    () =>
      check(
        anyWorld,
        fc.oneof({ weight: 4, arbitrary: anyFilter }, { weight: 1, arbitrary: wildFilter }),
        async (filter) => {
          await same("filter", filter, (shape) => find(shape, { filter }));
          await same("count", filter, (shape) => count(shape, filter));
        },
      ),
    timeout,
  );

  test(
    "sorts and projections",
    () =>
      check(anyWorld, fc.record({ filter: anyFilter, sort: anySort, projection: anyProjection }), async (query) => {
        await same("find", query, (shape) => find(shape, query));
      }),
    timeout,
  );

  test(
    "pipelines",
    () =>
      check(groupedWorld, anyPipeline(engine), async (pipeline) => {
        await same("pipeline", pipeline, aggregate);
      }),
    timeout,
  );
});

describe("what a stored document has beside its tenant's fields never shows", () => {
  const reads = [
    "$tenant_id",
    "$_croupier",
    "$_croupier.v",
    "$$ROOT.tenant_id",
    "$$CURRENT._croupier",
    "$_id.t",
    "$_id.i",
    "$$ROOT",
  ];
  const pipelines: Document[][] = [
    ...reads.flatMap((field) => [
      [{ $set: { x: field } }],
      [{ $sort: { _id: 1 } }, { $limit: 5 }, { $set: { b: field } }],
      [{ $set: { y: { a: field } } }],
      [{ $unset: "b" }, { $set: { y: field } }],
      [{ $project: { x: field } }],
      [{ $match: { $expr: { $ne: [{ $type: field }, "missing"] } } }],
      [{ $sortByCount: field }],
      [{ $replaceWith: { x: { $objectToArray: "$$ROOT" }, y: field } }],
      [{ $facet: { a: [{ $set: { x: field } }], b: [{ $match: { $expr: { $eq: [field, tenants[0]] } } }] } }],
    ]),
    [{ $project: { "_id.t": 1 } }],
    [{ $set: { "_id.t": 1 } }],
    [{ $set: { x: { $getField: "tenant_id" } } }],
    [{ $set: { x: { $bsonSize: "$$ROOT" } } }],
    [{ $sort: { "_id.t": -1, _id: 1 } }, { $limit: 2 }],
    [{ $unwind: { path: "$_croupier.h", preserveNullAndEmptyArrays: true } }],
    [{ $match: { "_id.t": { $exists: true } } }],
    [{ $match: { _id: { $type: "object" } } }, { $count: "n" }],
  ];
  test(
    "in a pipeline",
    async () => {
      const mine = [1, "x", true].map((_id, index) => ({ _id, a: index, b: { tenant_id: index } }));
      await stores.fill({ mine, theirs: [mine, mine] });
      for (const pipeline of pipelines) await same("pipeline", pipeline, aggregate);
    },
    timeout,
  );
});

const pages = fc.record({
  filter: fc.oneof(fc.constant({}), anyFilter),
  sort: anySort,
  projection: fc.oneof(fc.constant({}), anyProjection),
  limit: fc.integer({ min: 1, max: 6 }),
});
type Pages = { filter: unknown; sort: string; projection: unknown; limit: number };

/** What all pages together must be. */
const whole = (query: Pages): Promise<string> => outcome(() => find(stores.shapes[0], query));

describe("page after page shows every document once and in the order of the sort", () => {
  test(
    "when no sorted field holds an array",
    () =>
      check(worldOf(flatDocument), pages, async (query) => {
        const walked = await same("walk", query, (shape) => walk(shape, query, query.limit));
        if (walked !== (await whole(query)))
          throw new Error(`${printExtendedJson(query)}\n${walked}\n--- whole\n${await whole(query)}`);
      }),
    timeout,
  );

  test(
    "or says that it can't, when one does",
    () =>
      check(anyWorld, pages, async (query) => {
        const walked = await same("walk among arrays", query, (shape) => walk(shape, query, query.limit));
        if (walked === "refused: unsupported_sort #/sort") return;
        if (walked !== (await whole(query)))
          throw new Error(`${printExtendedJson(query)}\n${walked}\n--- whole\n${await whole(query)}`);
      }),
    timeout,
  );
});

describe("what may be stored can be stored", () => {
  const nested = (depth: number): Document => (depth === 1 ? {} : { a: nested(depth - 1) });
  test.each([
    ["100 levels", { _id: "deep", ...nested(100) }],
    [
      "an id of 1,024 bytes",
      { _id: Buffer.from(Array.from({ length: 1_024 }, () => Math.random() * 94 + 33)).toString() },
    ],
    [
      "names of JavaScript's own",
      { _id: "names", constructor: 1, toString: 2, length: 3, toBSON: { hasOwnProperty: 4 } },
    ],
  ])("%s, in every shape", async (_, document) => {
    assertStorable(document);
    await stores.fill({ mine: [document], theirs: [[document], [document]] });
    const found = await same("stored", document, (shape) => find(shape, { filter: { _id: document._id } }));
    expect(JSON.parse(found)).toHaveLength(1);
  });
});
