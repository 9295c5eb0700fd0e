import { beforeAll } from "bun:test";
import { useOperatorKey } from "../support/operator.ts";
import { useService } from "../support/service.ts";
import { invalid, refuses, type Row, wrongBodies } from "../support/wrong-input.ts";

const service = useService();
const operatorKey = useOperatorKey(service);
let token: string;
let id: string;
beforeAll(async () => {
  ({ token, id } = await service.join("own"));
});
const authorization = () => `Bearer ${operatorKey()}`;
const noId = "0123456789abcdef01234567";

const strangers = (request: Pick<Row, "body">): Row[] => {
  const missing = (name: string, value: () => string | undefined = () => undefined): Row => ({
    name: `key: ${name}`,
    status: 401,
    type: "operator_key_missing",
    authorization: value,
    ...request,
  });
  const wrong = (name: string, value: () => string): Row => ({
    name: `key: ${name}`,
    status: 401,
    type: "operator_key_invalid",
    authorization: () => `Bearer ${value()}`,
    ...request,
  });
  return [
    missing("none"),
    missing("empty", () => ""),
    missing("Bearer alone", () => "Bearer "),
    missing("Basic", () => "Basic YWRhOnNlY3JldA=="),
    missing("without a scheme", operatorKey),
    missing("twice", () => `Bearer ${operatorKey()}, Bearer ${operatorKey()}`),
    wrong("an admin's token", () => token),
    wrong("the start of it", () => operatorKey().slice(0, -1)),
    wrong("and more", () => `${operatorKey()}x`),
    wrong("in another case", () => operatorKey().toUpperCase()),
    wrong("8,000 characters", () => "a".repeat(8_000)),
    wrong("null", () => "null"),
    wrong("undefined", () => "undefined"),
  ];
};
const wrongIds = (path: (id: string) => string, request: Pick<Row, "body"> = {}): Row[] =>
  ["x", "0123456789ABCDEF01234567", `${noId}0`, "%00", "%FF", "..%2F..", "x".repeat(8_000), `${noId}%0A`, "{}"].map(
    (wrong) => ({
      name: `id: ${wrong.slice(0, 30)}`,
      ...invalid,
      pointers: ["{id}"],
      path: path(wrong),
      ...request,
    }),
  );

const moves = (of: string) => `/platform/organizations/${of}/moves`;
const tier = (name: string, value: unknown): Row => ({
  name: `tier: ${name}`,
  ...invalid,
  pointers: ["#/tier"],
  path: moves(noId),
  body: { tier: value },
});
refuses(service, "POST /platform/organizations/:id/moves", { method: "POST", path: moves(noId), authorization }, [
  ...strangers({ body: { tier: "starter" } }),
  ...wrongIds(moves, { body: { tier: "starter" } }),
  ...wrongBodies({ tier: "starter" }).filter(({ name }) => name !== "unknown field: tier"),
  { name: "no tier", ...invalid, pointers: ["#/tier"], body: {} },
  ...["", "Starter", "gold", "starter ", "starter\0", null, 5, true, [], ["starter"], {}, { $ne: "" }].map((value) =>
    tier(JSON.stringify(value), value),
  ),
  { name: "no such organization", status: 404, type: "organization_not_found", body: { tier: "starter" } },
]);

const operations = "/platform/operations";
const query = (search: string, pointer: string): Row => ({
  name: search.slice(0, 40),
  ...invalid,
  pointers: [pointer],
  path: `${operations}?${search}`,
});
refuses(service, "GET /platform/operations", { method: "GET", path: operations, authorization }, [
  ...strangers({}),
  query("organization_id=x", "?organization_id"),
  query("organization_id=", "?organization_id"),
  query("organization_id[$ne]=x", "?organization_id[$ne]"),
  query(`organization_id=${noId}&organization_id=${noId}`, "?organization_id"),
  query("status=open", "?status"),
  query("status=running&status=stopped", "?status"),
  query("kind=%24ne", "?kind"),
  query(`kind=${"x".repeat(31)}`, "?kind"),
  query("limit=0", "?limit"),
  query("limit=201", "?limit"),
  query("limit=x", "?limit"),
  query("cursor=x", "?cursor"),
  query("stauts=running", "?stauts"),
]);

for (const [method, rest] of [
  ["GET", ""],
  ["POST", "/resume"],
  ["POST", "/cancel"],
] as const) {
  const path = (of: string) => `${operations}/${of}${rest}`;
  refuses(service, `${method} /platform/operations/:id${rest}`, { method, path: path(noId), authorization }, [
    ...strangers({}),
    ...wrongIds(path),
    { name: "no such operation", status: 404, type: "operation_not_found" },
    ...(method === "POST"
      ? [{ name: "a body that is too large", status: 413, type: "body_too_large", body: "x".repeat(2_000_000) }]
      : []),
  ]);
}

const recovery = (of: string) => `/platform/organizations/${of}/recovery`;
refuses(service, "POST /platform/organizations/:id/recovery", { method: "POST", path: recovery(noId), authorization }, [
  ...strangers({}),
  ...wrongIds(recovery),
  { name: "no such organization", status: 404, type: "organization_not_found" },
  { name: "a body that is too large", status: 413, type: "body_too_large", body: "x".repeat(2_000_000) },
  { name: "another method", status: 405, type: "method_not_allowed", method: "GET" },
]);

let finished: string;
beforeAll(async () => {
  const { body } = await service.send("GET", `${operations}?organization_id=${id}`, { token: operatorKey() });
  finished = body.operations[0].id;
});
/** `id` and `finished` are known only when the tests run. */
const later = (path: () => string, row: Omit<Row, "path">): Row =>
  Object.defineProperty({ ...row }, "path", { get: path, enumerable: true });
const conflict = (name: string, type: string, path: () => string, body?: unknown): Row =>
  later(path, { name, status: 409, type, method: "POST", ...(body !== undefined && { body }) });
const there = [
  conflict("a move to where it is", "move_pointless", () => moves(id), { tier: "professional" }),
  conflict("resuming one that has ended", "operation_state", () => `${operations}/${finished}/resume`),
  conflict("cancelling one that is no move", "operation_state", () => `${operations}/${finished}/cancel`),
];
refuses(service, "The platform", { authorization }, there);

refuses(useService(), "A service that has no operator's key", { method: "GET", path: operations }, [
  { name: "another service's key", status: 401, type: "operator_key_invalid", authorization },
  { name: "no key", status: 401, type: "operator_key_missing" },
]);
