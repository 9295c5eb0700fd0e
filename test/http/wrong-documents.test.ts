import { beforeAll } from "bun:test";
import { useOperatorKey } from "../support/operator.ts";
import { useService } from "../support/service.ts";
import { wrongDocuments, wrongSecondDocuments, wrongTags } from "../support/wrong-documents.ts";
import { invalid, refuses, type Row, unreadableBodies } from "../support/wrong-input.ts";
import { wrongAuthorizations } from "../support/wrong-token.ts";

const service = useService();
const operatorKey = useOperatorKey(service);
let token: string;
let gone: string;
beforeAll(async () => {
  ({ token } = await service.join("own"));
  gone = (await service.join("gone")).token;
  await service.send("DELETE", "/org/delete", { token: gone });
  await service.send("POST", "/org/documents", { token, body: [{ _id: "kept", n: 1 }, { _id: 5 }] });
});
const authorization = () => `Bearer ${token}`;

/** Each route asks for the token by itself. */
const strangers = (request: Pick<Row, "body">): Row[] => [
  { name: "nobody", status: 401, type: "token_missing", authorization: () => undefined, ...request },
  { name: "a token of no one", status: 401, type: "token_invalid", authorization: () => "Bearer abc", ...request },
  {
    name: "the admin of a deleted organization",
    status: 401,
    type: "token_invalid",
    authorization: () => `Bearer ${gone}`,
    ...request,
  },
  {
    name: "the operator",
    status: 401,
    type: "token_invalid",
    authorization: () => `Bearer ${operatorKey()}`,
    ...request,
  },
];
const documentReader = { bytesMax: 18_000_000, unclosed: invalid };
const tooLarge = { status: 413, type: "document_too_large", body: { a: "x".repeat(16 * 1024 * 1024) } };
const key = (value: string): Row => ({
  name: `Idempotency-Key: ${value.slice(0, 20)}`,
  ...invalid,
  pointers: ["Idempotency-Key"],
  headers: { "idempotency-key": value },
  body: {},
});

const insert = { method: "POST", path: "/org/documents", authorization };
refuses(service, "POST /org/documents", insert, [
  ...strangers({ body: {} }),
  ...unreadableBodies({ a: 1 }, documentReader),
  ...wrongDocuments,
  ...wrongSecondDocuments,
  { name: "no documents", ...invalid, pointers: ["#"], body: [] },
  { name: "documents in arrays", ...invalid, pointers: ["#/0"], body: [[{}]] },
  { name: "100,001 documents", ...invalid, pointers: ["#"], body: Array(100_001).fill({}) },
  {
    name: "10,001 documents with an Idempotency-Key",
    ...invalid,
    pointers: ["#"],
    headers: { "idempotency-key": "many" },
    body: Array(10_001).fill({}),
  },
  { name: "an id twice", ...invalid, pointers: ["#/2/_id"], body: [{ _id: "a" }, { _id: "b" }, { _id: "a" }] },
  {
    name: "an id twice, once as a double",
    ...invalid,
    pointers: ["#/1/_id"],
    body: '[{"_id":7},{"_id":7.0}]',
  },
  { name: "an id that is there", status: 409, type: "document_exists", pointers: ["#/_id"], body: { _id: "kept" } },
  {
    name: "an id that is there, as another number",
    status: 409,
    type: "document_exists",
    pointers: ["#/_id"],
    body: '{"_id":{"$numberDecimal":"5.0"}}',
  },
  { name: "more than 16 MB", ...tooLarge },
  { name: "one of several with more than 16 MB", ...tooLarge, body: [{ a: 1 }, tooLarge.body] },
  key("x".repeat(256)),
  key("a b"),
  key("\u00e9"),
]);
refuses(service, "POST /org/documents", insert, wrongAuthorizations(service, { body: { a: 1 } }));

for (const method of ["PUT", "PATCH"]) {
  const path = "/org/documents/kept";
  refuses(service, `${method} /org/documents/:id`, { method, path, authorization }, [
    ...strangers({ body: {} }),
    ...unreadableBodies({ a: 1 }, documentReader),
    ...wrongDocuments,
    { name: "an array", ...invalid, pointers: ["#"], body: [] },
    { name: "another id", ...invalid, pointers: ["#/_id"], body: { _id: "other", n: 2 } },
    { name: "more than 16 MB", ...tooLarge },
    ...["If-Match", "If-None-Match"].flatMap(wrongTags).map((row) => ({ ...row, body: { n: 2 } })),
    {
      name: "If-Match: another version",
      status: 412,
      type: "precondition_failed",
      headers: { "if-match": '"7-x"' },
      body: {},
    },
    {
      name: "If-Match of a document that isn't there",
      status: 412,
      type: "precondition_failed",
      path: "/org/documents/nobody",
      headers: { "if-match": "*" },
      body: {},
    },
    {
      name: "a document that isn't there",
      status: 404,
      type: "document_not_found",
      path: "/org/documents/nobody",
      body: {},
    },
  ]);
}

/** Ids in paths, none of which is there; the last part as it is sent. */
const absent: [name: string, id: string][] = [
  ["a text", "nobody"],
  ["in another case", "KEPT"],
  ["a space after it", "kept%20"],
  ["NUL", "%00"],
  ["NUL after it", "kept%00"],
  ["a number as text", "%225%22"],
  ["an ObjectId", "0123456789abcdef01234567"],
  ["an array", "%5B5%5D"],
  ["an object", "%7B%22%24ne%22%3Anull%7D"],
  ["a pattern", "%7B%22%24regularExpression%22%3A%7B%22pattern%22%3A%22.*%22%2C%22options%22%3A%22%22%7D%7D"],
  ["a slash before it", "%2Fkept"],
  ["a way up", "..%2Fkept"],
  ["encoded twice", "%256bept"],
  ["no UTF-8", "%FF"],
  ["a surrogate in UTF-8", "%ED%A0%80"],
  ["a broken escape", "%ZZ"],
  ["a lone percent sign", "kept%"],
  ["the name of an inherited property", "__proto__"],
  ["constructor", "constructor"],
  ["a wildcard", "*"],
  ["8,000 characters", "x".repeat(8_000)],
  ["4,000 characters that are a number", "9".repeat(4_000)],
  ["2,000 opening brackets", "%5B".repeat(2_000)],
];
for (const method of ["GET", "PUT", "PATCH", "DELETE"]) {
  const body = method === "PUT" || method === "PATCH" ? { body: { n: 2 } } : {};
  refuses(
    service,
    `${method} /org/documents/:id`,
    { method, authorization },
    absent.map(([name, id]) => ({
      name,
      status: 404,
      type: "document_not_found",
      path: `/org/documents/${id}`,
      ...body,
    })),
  );
}

refuses(service, "GET /org/documents/:id", { method: "GET", path: "/org/documents/kept", authorization }, [
  ...strangers({}),
  ...wrongTags("If-None-Match"),
  ...wrongTags("If-Match"),
]);

refuses(service, "DELETE /org/documents/:id", { method: "DELETE", path: "/org/documents/kept", authorization }, [
  ...strangers({}),
  ...wrongTags("If-Match"),
  { name: "a body that is too large", status: 413, type: "body_too_large", body: "x".repeat(18_000_000) },
  { name: "another version", status: 412, type: "precondition_failed", headers: { "if-match": '"2-x", W/"1-x"' } },
]);
