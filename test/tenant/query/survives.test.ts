// Each operator of expressions over a value of each type, and over texts that the database itself makes: what a caller sends
// may be refused, but ends no process of the database. SURVIVES=full asks in every form (some 70,000 questions).
import { afterAll, beforeAll, expect, test } from "bun:test";
import {
  Binary,
  BSONRegExp,
  Code,
  Decimal128,
  type Document,
  Double,
  Int32,
  Long,
  MaxKey,
  MinKey,
  MongoClient,
  ObjectId,
  Timestamp,
  UUID,
} from "mongodb";
import { type Engine, engineOf } from "../../../src/lib/mongo/engine.ts";
import { isUnavailable } from "../../../src/lib/mongo/mongo.ts";
import { expressionOperators } from "../../../src/tenant/query/operators.ts";
import { placePipeline } from "../../../src/tenant/query/pipeline.ts";
import { freshDatabaseName } from "../../support/service.ts";

const inFull = process.env.SURVIVES === "full";

const values: Document = {
  none: null,
  true: true,
  false: false,
  int: new Int32(7),
  negative: new Int32(-7),
  double: new Double(1.5),
  nan: new Double(Number.NaN),
  infinite: new Double(Number.POSITIVE_INFINITY),
  long: Long.fromString("9007199254740993"),
  decimal: Decimal128.fromString("1.50"),
  notDecimal: Decimal128.fromString("NaN"),
  text: "aB é",
  empty: "",
  digits: "12",
  date: new Date(0),
  timestamp: new Timestamp({ t: 1, i: 1 }),
  objectId: new ObjectId(),
  least: new MinKey(),
  most: new MaxKey(),
  bytes: new Binary(Buffer.from("ab")),
  uuid: new UUID(),
  pattern: new BSONRegExp("a", "i"),
  array: [3, 1, "x", null],
  noArray: [],
  pairs: [
    ["a", 1],
    ["b", 2],
  ],
  keys: [{ k: "a", v: 1 }],
  object: { a: 1, b: { c: "x" } },
  code: new Code("x"),
};
const made: Document = {
  "a type's name": { $type: "$bytes" },
  "a truth as text": { $toString: "$true" },
  "a converted truth": { $convert: { input: "$false", to: "string", onError: "e", onNull: "n" } },
  "a comparison": { $eq: ["$int", 7] },
  "a literal text": { $literal: "abc" },
  "a part of a text": { $substrCP: ["$text", 0, 2] },
  "an id as text": { $toString: "$objectId" },
  "an infinite number as text": { $toString: "$infinite" },
  "a date as text": { $dateToString: { date: "$date", format: "%d" } },
  "a first of texts": { $ifNull: ["$missing", { $type: "$bytes" }] },
};
const inputs = [
  ["missing", "$missing"],
  ...Object.keys(values).map((name) => [name, `$${name}`]),
  ...Object.entries(made),
] as [string, unknown][];

/** They take what has names; those that bind a variable are asked below. */
const others = new Set(["$literal", "$let", "$map", "$filter", "$reduce", "$switch"]);
const operators = [...expressionOperators].filter((name) => !others.has(name));

/** Forms in which an operator may take an input, and a second one: of a stored value only the first is asked, if not all. */
const forms: ((input: unknown) => unknown)[] = [
  (input) => input,
  (input) => [input, "$text"],
  ...(inFull
    ? ["none", "int", "array", "object", "nan", "decimal"].map((second) => (input: unknown) => [input, `$${second}`])
    : []),
];
const named: Record<string, (input: unknown) => Document> = {
  $trim: (input) => ({ $trim: { input, chars: input } }),
  $sortArray: (input) => ({ $sortArray: { input, sortBy: { a: 1 } } }),
  $zip: (input) => ({ $zip: { inputs: [input, "$array"], useLongestLength: true, defaults: [input, 1] } }),
  $getField: (input) => ({ $getField: { field: "a", input } }),
  $setField: (input) => ({ $setField: { field: "q", input, value: input } }),
  $regexMatch: (input) => ({ $regexMatch: { input, regex: "a" } }),
  $replaceOne: (input) => ({ $replaceOne: { input, find: "a", replacement: input } }),
  $dateAdd: (input) => ({ $dateAdd: { startDate: "$date", unit: "year", amount: input } }),
  $dateDiff: (input) => ({ $dateDiff: { startDate: "$date", endDate: input, unit: "day" } }),
  $dateToParts: (input) => ({ $dateToParts: { date: input, timezone: input } }),
  $dateToString: (input) => ({ $dateToString: { date: "$date", format: input, timezone: input } }),
  $dateFromParts: (input) => ({ $dateFromParts: { year: input, month: input } }),
  $dateFromString: (input) => ({ $dateFromString: { dateString: input } }),
  $dateTrunc: (input) => ({ $dateTrunc: { date: "$date", unit: "month", binSize: input } }),
  $firstN: (input) => ({ $firstN: { input, n: 2 } }),
  $maxN: (input) => ({ $maxN: { input: "$array", n: input } }),
  $median: (input) => ({ $median: { input, method: "approximate" } }),
  $percentile: (input) => ({ $percentile: { input: "$array", p: input, method: "approximate" } }),
  $convert: (input) => ({ $convert: { input, to: "string", onError: "x", onNull: "y" } }),
  $map: (input) => ({ $map: { input, in: { $toUpper: "$$this" } } }),
  $filter: (input) => ({ $filter: { input, cond: { $toLower: "$$this" } } }),
  $reduce: (input) => ({ $reduce: { input: "$array", initialValue: input, in: { $toUpper: "$$value" } } }),
  $let: (input) => ({ $let: { vars: { one: input }, in: { $toLower: "$$one" } } }),
  $switch: (input) => ({ $switch: { branches: [{ case: input, then: { $toUpper: [input] } }], default: input } }),
};

function* questions(): Generator<[string, unknown]> {
  for (const [name, input] of inputs) {
    const asked = inFull || name in made ? forms : forms.slice(0, 1);
    for (const operator of operators) {
      for (const form of asked) yield [`${operator} of ${name}`, { [operator]: form(input) }];
    }
    for (const [operator, form] of Object.entries(named)) yield [`${operator} of ${name}`, form(input)];
  }
}

let client: MongoClient;
let engine: Engine;
let database: string;
beforeAll(async () => {
  client = await MongoClient.connect(process.env.MONGODB_URL!);
  engine = await engineOf(client);
  database = freshDatabaseName();
  await client
    .db(database)
    .collection<Document>("values")
    .insertOne({ _id: 1 as never, ...values });
});
afterAll(async () => {
  await client.db(database).dropDatabase();
  await client.close();
});

test(
  "no operator over a value of any type ends the database's process",
  async () => {
    const ended: string[] = [];
    let asked = 0;
    for (const [name, expression] of questions()) {
      asked++;
      const pipeline = placePipeline([{ $project: { r: expression } }], { _id: 1 }, "_id", engine);
      const found = client.db(database).collection("values").aggregate(pipeline, { maxTimeMS: 5_000 });
      await found.toArray().catch((error) => {
        if (isUnavailable(error) || /EOF|reset|recovery/.test(String(error))) ended.push(name);
      });
    }
    expect(ended).toEqual([]);
    expect(asked).toBeGreaterThan(5_000);
  },
  inFull ? 1_800_000 : 120_000,
);
