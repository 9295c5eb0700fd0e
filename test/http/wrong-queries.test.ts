import { beforeAll } from "bun:test";
import { useService } from "../support/service.ts";
import { invalid, refuses, type Row, wrongBodies } from "../support/wrong-input.ts";

const service = useService();
let token: string;
beforeAll(async () => {
  ({ token } = await service.join("own"));
  await service.send("POST", "/org/documents", { token, body: [{ _id: "kept", n: [1], s: "x" }, { n: 2 }] });
});
const authorization = () => `Bearer ${token}`;
const strangers: Row[] = [
  { name: "nobody", status: 401, type: "token_missing", authorization: () => undefined, body: {} },
  { name: "a token of no one", status: 401, type: "token_invalid", authorization: () => "Bearer abc", body: {} },
];

/** Filters that leave the tenant, run code, or are none. */
const filters: [filter: unknown, pointer: string][] = [
  [{ tenant_id: "x" }, "/tenant_id"],
  [{ "tenant_id.0": { $exists: true } }, "/tenant_id.0"],
  [{ $or: [{ a: 1 }, { "_croupier.v": 1 }] }, "/$or/1/_croupier.v"],
  [{ "_id.t": { $ne: null } }, "/_id.t"],
  [{ "_id.i": 1 }, "/_id.i"],
  [{ $where: "sleep(1000)" }, "/$where"],
  [{ a: { $where: "1" } }, "/a/$where"],
  [{ $expr: { $function: { body: "", args: [], lang: "js" } } }, "/$expr"],
  [{ $text: { $search: "x" } }, "/$text"],
  [{ $jsonSchema: {} }, "/$jsonSchema"],
  [{ a: { $near: [0, 0] } }, "/a/$near"],
  [{ "a.$b": 1 }, "/a.$b"],
  [{ "": 1 }, "/"],
  [{ "a\0": 1 }, "/a\0"],
  [{ a: { $in: 5 } }, "/a/$in"],
  [{ $and: [] }, "/$and"],
  [{ __proto__: null, $toString: 1 }, "/$toString"],
  [[], ""],
  [null, ""],
  ["x", ""],
  [5, ""],
  [{ $oid: "0123456789abcdef01234567" }, ""],
  [{ a: { $oid: "x" } }, "/a"],
];
const sorts: [sort: unknown, pointer: string][] = [
  [{ a: 2 }, "/a"],
  [{ a: "asc" }, "/a"],
  [{ a: { $meta: "textScore" } }, "/a"],
  [{ tenant_id: 1 }, "/tenant_id"],
  [{ "_id.t": 1 }, "/_id.t"],
  [{ $natural: 1 }, "/$natural"],
  [{ a: 1, b: 1, c: 1, d: 1, e: 1 }, ""],
  [{ a: 1, 0: 1 }, ""],
  ["a,a", "/a"],
  ["-", "/"],
  ["a,,b", "/"],
  ["_croupier.v", "/_croupier.v"],
];
const projections: [projection: unknown, pointer: string][] = [
  [{ tenant_id: 1 }, "/tenant_id"],
  [{ _croupier: 0 }, "/_croupier"],
  [{ "_id.t": 1 }, "/_id.t"],
  [{ a: 1, b: 0 }, "/b"],
  [{ a: "$tenant_id" }, "/a"],
  [{ a: { $slice: 1 } }, "/a"],
  [{ a: 1, "a.b": 1 }, "/a.b"],
  [{ $x: 1 }, "/$x"],
  ["a", ""],
  [[], ""],
  [null, ""],
];
const limits = [0, -1, 1_001, 1.5, "10", null, true, [], {}];

const named = (name: string, list: [value: unknown, pointer: string][], field: string): Row[] =>
  list.map(([value, pointer]) => ({
    name: `${name}: ${JSON.stringify(value)}`,
    ...invalid,
    pointers: [`#/${field}${pointer}`],
    body: { [field]: value },
  }));
const refused = (name: string, body: object): Row => ({ name, status: 422, type: "query_refused", body });
const reader = { unclosed: invalid };
const tooDeep = (field: string): Row => ({
  name: `${field}: nested 200 deep`,
  ...invalid,
  body: `{"${field}":${'{"$and":['.repeat(200)}{}${"]}".repeat(200)}}`,
});

refuses(service, "POST /org/documents/find", { method: "POST", path: "/org/documents/find", authorization }, [
  ...strangers,
  ...wrongBodies({ filter: {} }, reader),
  ...named("filter", filters, "filter"),
  ...named("sort", [...sorts, [null, ""], [5, ""], [[], ""]], "sort"),
  ...named("projection", projections, "projection"),
  ...limits.map((limit): Row => ({
    name: `limit: ${JSON.stringify(limit)}`,
    ...invalid,
    pointers: ["#/limit"],
    body: { limit },
  })),
  ...[5, {}, [], true].map((cursor): Row => ({
    name: `cursor: ${JSON.stringify(cursor)}`,
    ...invalid,
    pointers: ["#/cursor"],
    body: { cursor },
  })),
  ...["", "x", "e30", "a b", "x".repeat(10_000), "\0"].map((cursor): Row => ({
    name: `cursor: ${JSON.stringify(cursor).slice(0, 20)}`,
    status: 422,
    type: "invalid_cursor",
    pointers: ["#/cursor"],
    body: { cursor },
  })),
  tooDeep("filter"),
  refused("a pattern that is none", { filter: { s: { $regex: "(" } } }),
  {
    name: "a pattern that is too long",
    status: 422,
    type: "expression_too_costly",
    pointers: ["#/filter"],
    body: { filter: { s: { $regex: "x".repeat(40_000) } } },
  },
  { name: "sorted by arrays", status: 422, type: "unsupported_sort", body: { sort: "n", limit: 1 } },
]);

refuses(service, "POST /org/documents/count", { method: "POST", path: "/org/documents/count", authorization }, [
  ...strangers,
  ...wrongBodies({ filter: {} }, reader),
  ...named("filter", filters, "filter"),
  { name: "a sort", ...invalid, pointers: ["#/sort"], body: { sort: "a" } },
  tooDeep("filter"),
  refused("a pattern that is none", { filter: { s: { $regex: "(" } } }),
]);

const pipelines: [pipeline: unknown, pointer: string][] = [
  ...["lookup", "graphLookup", "unionWith", "out", "merge", "collStats", "indexStats", "currentOp", "changeStream"].map(
    (name): [unknown, string] => [[{ [`$${name}`]: {} }], `/0/$${name}`],
  ),
  [[{ $facet: { a: [{ $lookup: { from: "x" } }] } }], "/0/$facet/a/0/$lookup"],
  [[{ $match: { tenant_id: "x" } }], "/0/$match/tenant_id"],
  [[{ $match: { $expr: { $function: {} } } }], "/0/$match/$expr/$function"],
  [[{ $set: { a: { $function: {} } } }], "/0/$set/a/$function"],
  [[{ $set: { a: "$$USER_ROLES" } }], "/0/$set/a"],
  [[{ $group: { _id: null, n: { $accumulator: {} } } }], "/0/$group/n/$accumulator"],
  [[{ $limit: 1, $skip: 1 }], "/0"],
  [[{}], "/0"],
  [[null], "/0"],
  [Array(51).fill({ $limit: 1 }), ""],
  [{}, ""],
  [null, ""],
  ["[]", ""],
  [5, ""],
];
/** About 1 MB. */
const filling = { $map: { input: { $range: [0, 50] }, in: { $literal: "x".repeat(20_000) } } };
refuses(service, "POST /org/documents/aggregate", { method: "POST", path: "/org/documents/aggregate", authorization }, [
  ...strangers,
  ...wrongBodies({ pipeline: [] }, reader),
  ...named("pipeline", pipelines, "pipeline"),
  { name: "no pipeline", ...invalid, pointers: ["#/pipeline"], body: {} },
  refused("a text taken for a number", { pipeline: [{ $set: { a: { $toInt: "$s" } } }] }),
  refused("a root that is no object", { pipeline: [{ $replaceWith: "$s" }] }),
  refused("documents larger than 16 MB", {
    pipeline: [{ $set: { a: Array.from({ length: 18 }, () => filling) } }],
  }),
  {
    name: "an expression without end",
    status: 422,
    type: "expression_too_costly",
    pointers: ["#/pipeline/0/$set/a/$reduce/in"],
    body: {
      pipeline: [
        {
          $set: {
            a: { $reduce: { input: { $range: [0, 25] }, initialValue: "x", in: { $concat: ["$$value", "$$value"] } } },
          },
        },
      ],
    },
  },
]);

const query = (name: string, search: string, pointer?: string): Row => ({
  name,
  ...invalid,
  ...(pointer !== undefined && { pointers: [pointer] }),
  path: `/org/documents?${search}`,
});
const json = (value: unknown) => encodeURIComponent(JSON.stringify(value));

refuses(service, "GET /org/documents", { method: "GET", path: "/org/documents", authorization }, [
  ...strangers.map(({ body: _, ...row }) => row),
  ...filters.map(([filter, pointer]) =>
    query(`filter: ${JSON.stringify(filter)}`, `filter=${json(filter)}`, `?filter${pointer}`),
  ),
  ...sorts.map(([sort, pointer]) =>
    query(
      `sort: ${JSON.stringify(sort)}`,
      `sort=${typeof sort === "string" ? encodeURIComponent(sort) : json(sort)}`,
      `?sort${pointer}`,
    ),
  ),
  ...projections.map(([projection, pointer]) =>
    query(`projection: ${JSON.stringify(projection)}`, `projection=${json(projection)}`, `?projection${pointer}`),
  ),
  ...["filter", "projection"].flatMap((name) => [
    query(`${name}: empty`, `${name}=`, `?${name}`),
    query(`${name}: no JSON`, `${name}=%7B`, `?${name}`),
    query(`${name}: single quotes`, `${name}=%7B%27a%27%3A1%7D`, `?${name}`),
    query(`${name}: a name twice`, `${name}=%7B%22a%22%3A1%2C%22a%22%3A1%7D`, `?${name}/a`),
  ]),
  ...["filter", "sort", "projection", "limit", "cursor"].map((name) =>
    query(`${name}: given twice`, `${name}=1&${name}=1`, `?${name}`),
  ),
  query("filter: 9,000 characters", `filter=${json({ a: "x".repeat(9_000) })}`, "?filter"),
  query("filter: in brackets", "filter[a]=1", "?filter[a]"),
  query("a parameter that isn't there", "fliter=%7B%7D", "?fliter"),
  query("the name of an inherited property", "__proto__=1"),
  ...["0", "-1", "1001", "1.5", "x", "", "1e9", "NaN", "1%00"].map((limit) =>
    query(`limit: ${limit || "empty"}`, `limit=${limit}`, "?limit"),
  ),
  ...["x", "", "e30", "%00"].map((cursor): Row => ({
    name: `cursor: ${cursor || "empty"}`,
    status: 422,
    type: "invalid_cursor",
    pointers: ["?cursor"],
    path: `/org/documents?cursor=${cursor}`,
  })),
]);
