import { beforeAll } from "bun:test";
import { useService } from "../support/service.ts";
import { invalid, refuses, type Row, wrongBodies } from "../support/wrong-input.ts";

const service = useService();
let token: string;
beforeAll(async () => {
  ({ token } = await service.join("own"));
  await service.send("POST", "/org/documents", { token, body: [{ a: 1 }, { a: 1 }] });
  await service.send("POST", "/org/indexes", { token, body: { key: { kept: 1, other: -1 }, name: "kept" } });
});
const authorization = () => `Bearer ${token}`;
const strangers = (request: Pick<Row, "body">): Row[] => [
  { name: "nobody", status: 401, type: "token_missing", authorization: () => undefined, ...request },
  { name: "a token of no one", status: 401, type: "token_invalid", authorization: () => "Bearer abc", ...request },
];
const key = (name: string, value: unknown, pointer = ""): Row => ({
  name: `key: ${name}`,
  ...invalid,
  pointers: [`#/key${pointer}`],
  body: { key: value },
});
const wrong = (field: string, value: unknown): Row => ({
  name: `${field}: ${JSON.stringify(value).slice(0, 40)}`,
  ...invalid,
  pointers: [`#/${field}`],
  body: { key: { b: 1 }, [field]: value },
});
const exists = (name: string, body: object): Row => ({ name, status: 409, type: "index_exists", body });

refuses(service, "POST /org/indexes", { method: "POST", path: "/org/indexes", authorization }, [
  ...strangers({ body: { key: { b: 1 } } }),
  ...wrongBodies({ key: { b: 1 } }),
  { name: "no key", ...invalid, pointers: ["#/key"], body: {} },
  key("null", null),
  key("a text", "b"),
  key("an array", ["b"]),
  key("an array of pairs", [["b", 1]]),
  key("no field", {}),
  key("5 fields", { a: 1, b: 1, c: 1, d: 1, e: 1 }),
  key("its tenant", { tenant_id: 1 }, "/tenant_id"),
  key("its tenant after a field", { b: 1, tenant_id: -1 }, "/tenant_id"),
  key("beneath its tenant", { "tenant_id.x": 1 }, "/tenant_id.x"),
  key("the version", { "_croupier.v": 1 }, "/_croupier.v"),
  key("the newest write", { "_croupier.h.0": 1 }, "/_croupier.h.0"),
  key("beneath _id", { "_id.t": 1 }, "/_id.t"),
  key("_id alone", { _id: 1 }),
  key("_id alone, downwards", { _id: -1 }),
  key("everything", { "$**": 1 }, "/$**"),
  key("everything beneath", { "b.$**": 1 }, "/b.$**"),
  key("an empty path", { "": 1 }, "/"),
  key("a path with an empty part", { "a..b": 1 }, "/a..b"),
  key("NUL", { "a\0": 1 }, "/a\0"),
  key("names that are numbers", { b: 1, 0: 1 }),
  key("a path of 1,202 bytes", { ["é".repeat(601)]: 1 }),
  key("paths of 1,201 bytes together", { ["a".repeat(600)]: 1, ["b".repeat(601)]: 1 }),
  ...["__proto__", "_bsontype"].map((name): Row => ({
    name: `key: ${name}`,
    ...invalid,
    pointers: [`#/key/${name}`],
    body: `{"key":{"${name}":1,"a":1}}`,
  })),
  ...[0, 2, "text", "hashed", "2dsphere", "1", true, null, 1.5, {}, []].map((direction) =>
    key(`a direction of ${JSON.stringify(direction)}`, { b: direction }, "/b"),
  ),
  ...["", "a b", "a\0", "x".repeat(61), "é", "*", "$a", 5, null, [], {}, "../x"].map((name) => wrong("name", name)),
  ...["_id_", "created_at_1"].map((name) => wrong("name", name)),
  ...[0, 1, "true", null, [], {}].map((unique) => wrong("unique", unique)),
  wrong("sparse", true),
  wrong("expireAfterSeconds", 0),
  wrong("partialFilterExpression", {}),
  wrong("collation", { locale: "en" }),
  exists("the name of another one", { key: { b: 1 }, name: "kept" }),
  exists("the fields of another one", { key: { kept: 1, other: -1 } }),
  exists("the fields of another one, unique", { key: { kept: 1, other: -1 }, name: "x", unique: true }),
  exists("another one of the name, with the fields turned round", { key: { other: -1, kept: 1 }, name: "kept" }),
  exists("the one, but unique", { key: { kept: 1, other: -1 }, name: "kept", unique: true }),
  exists("the fields of one that is always there", { key: { created_at: 1 }, name: "mine" }),
]);

const missing = (name: string): Row => ({
  name: `an index ${name.slice(0, 20)}`,
  status: 404,
  type: "index_not_found",
  path: `/org/indexes/${name}`,
});
refuses(service, "DELETE /org/indexes/:name", { method: "DELETE", path: "/org/indexes/kept", authorization }, [
  ...strangers({}),
  ...["_id_", "created_at_1", "*", "%2A", "KEPT", "kept%00", "%00", "%FF", "..%2Fkept", "a/b".replace("/", "%2F")].map(
    missing,
  ),
  missing("x".repeat(1_000)),
  { name: "a name of 8,000 characters", ...invalid, pointers: ["{name}"], path: `/org/indexes/${"x".repeat(8_000)}` },
  { name: "a body that is too large", status: 413, type: "body_too_large", body: "x".repeat(2_000_000) },
]);

refuses(service, "GET /org/indexes", { method: "GET", path: "/org/indexes", authorization }, strangers({}));
