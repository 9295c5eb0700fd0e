import { afterAll, beforeAll, expect, test } from "bun:test";
import { type Document, Long, MongoClient } from "mongodb";
import { type Engine, engineOf } from "../../../src/lib/mongo/engine.ts";
import { copyTexts } from "../../../src/tenant/query/cost/copied-text.ts";
import { bindOuterFields } from "../../../src/tenant/query/cost/outer-fields.ts";
import { freshDatabaseName } from "../../support/service.ts";

/** What a document may have where a loop looks, and what a loop may do with it. */
const values = [undefined, null, 0, 5, 2.5, Long.fromNumber(5), "a", "", true, [1], [], { b: 1 }, new Date(5)];
const numberOr = (value: unknown) => ({ $cond: [{ $isNumber: value }, value, null] });
const uses: [name: string, use: (element: unknown, field: unknown) => unknown][] = [
  ...["$eq", "$ne", "$gt", "$gte", "$lt", "$cmp", "$ifNull", "$max", "$and", "$or"].map(
    (name): [string, (element: unknown, field: unknown) => unknown] => [name, (a, b) => ({ [name]: [a, b] })],
  ),
  ["$multiply", (a, b) => ({ $multiply: [numberOr(a), numberOr(b)] })],
  ["an object", (a, b) => ({ a, b })],
  ["an array", (a, b) => [a, b]],
  ["itself", (_, b) => b],
  ["$type", (_, b) => ({ $type: b })],
  ["$cond", (a, b) => ({ $cond: [b, a, "none"] })],
  ["$let", (a, b) => ({ $let: { vars: { v: b }, in: { $eq: [a, "$$v"] } } })],
  ["$toUpper", (_, b) => ({ $toUpper: { $cond: [{ $eq: [{ $type: b }, "string"] }, b, "none"] } })],
  ["$literal", (a) => ({ $ifNull: [a, { $literal: "$f" }] })],
];

let client: MongoClient;
let engine: Engine;
let name: string;
beforeAll(async () => {
  client = await MongoClient.connect(process.env.MONGODB_URL!);
  engine = await engineOf(client);
  name = freshDatabaseName();
  const items = values.map((p) => (p === undefined ? {} : { p }));
  const documents = values.map((f, n) => ({
    _id: n,
    items: n % 2 === 0 ? items : [{ lines: items }],
    ...(f !== undefined && { f, g: { f, l: [{ f }] } }),
  }));
  await client.db(name).collection<{ _id: number }>("some").insertMany(documents);
}, 60_000);
afterAll(async () => {
  await client.db(name).dropDatabase();
  await client.close();
});

/** FerretDB can't tell a `$reduce` that gives nothing, and says the same of both. */
async function answersOf(pipeline: Document[]): Promise<Document[] | string> {
  const sent = [{ $sort: { _id: 1 } }, ...(engine === "ferretdb" ? copyTexts(pipeline) : pipeline)];
  const answers = client.db(name).collection("some").aggregate(sent).toArray();
  return await answers.catch((error) => String(error.message));
}
/** One stage for all of them, as each is a field. */
const each = (make: (use: (element: unknown, field: unknown) => unknown) => unknown): Document[] => [
  { $project: Object.fromEntries(uses.map(([, use], index) => [`r${index}`, make(use)])) },
];

test.each<[string, Document[]]>([
  ["$map", each((use) => ({ $map: { input: "$items", in: use("$$this.p", "$f") } }))],
  ["$filter", each((use) => ({ $filter: { input: "$items", as: "x", cond: use("$$x.p", "$g.f") } }))],
  ["$reduce", each((use) => ({ $reduce: { input: "$items", initialValue: 0, in: { v: use("$$this.p", "$f") } } }))],
  ["$reduce itself", [{ $project: { r: { $reduce: { input: "$items", initialValue: 0, in: "$f" } } } }]],
  ["a loop over nothing", each((use) => ({ $map: { input: "$missing", in: use("$$this.p", "$f") } }))],
  ["two fields, one in an array", each((use) => ({ $map: { input: "$items", in: use("$f", "$g.l.f") } }))],
  [
    "a loop in a loop",
    each((use) => ({
      $map: {
        input: "$items",
        as: "o",
        in: { $map: { input: { $ifNull: ["$$o.lines", ["$f"]] }, in: use("$$this.p", "$f") } },
      },
    })),
  ],
  [
    "a loop in what another goes through",
    each((use) => ({
      $map: {
        input: { $filter: { input: "$items", cond: { $ne: ["$$this.p", "$f"] } } },
        in: use("$$this.p", "$g.f"),
      },
    })),
  ],
  [
    "variables of any name",
    each((use) => ({
      $let: {
        vars: { outer0_0: "$g" },
        in: { $map: { input: "$items", as: "outer1_0", in: use("$$outer0_0.f", "$f") } },
      },
    })),
  ],
  [
    "a condition",
    [{ $match: { $or: [{ $expr: { $in: [true, { $map: { input: "$items", in: { $eq: ["$$this.p", "$f"] } } }] } }] } }],
  ],
  [
    "an accumulator and a pipeline inside another",
    [
      {
        $facet: {
          a: [
            {
              $group: {
                _id: 1,
                n: { $sum: { $size: { $filter: { input: "$items", cond: { $eq: ["$$this.p", "$f"] } } } } },
              },
            },
          ],
        },
      },
    ],
  ],
])("a field that a loop looks up is bound around it, and the answer is the same: %s", async (title, pipeline) => {
  const bound = bindOuterFields(pipeline)!;
  expect(JSON.stringify(bound)).toMatch(/"outer\d_0"/);
  const answers = await answersOf(pipeline);
  if (engine !== "ferretdb" || title !== "$reduce itself") expect(answers).toBeArray();
  expect(await answersOf(bound)).toEqual(answers);
});

test.each<Document>([
  { $set: { r: { $map: { input: "$a", in: { $eq: ["$$this", { $literal: "$f" }] } } } } },
  { $set: { r: { $map: { input: "$a", in: { $add: ["$b", "$c", "$d", "$e", "$f", "$g"] } } } } },
  { $set: { r: { $map: { input: "$a", in: { $add: Array(101).fill("$b") } } } } },
  { $match: { a: "$f", b: { $in: ["$f"] } } },
  { $project: { r: "$f" } },
])("nothing is bound that no loop looks up, and only the few fields that one may have: %j", (stage) => {
  const bound = bindOuterFields([stage]);
  expect(bound ?? [stage]).toEqual([stage]);
});
