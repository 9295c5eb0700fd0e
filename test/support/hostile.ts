import type { Attack, Route } from "./attack.ts";
import { fill } from "./attack.ts";

/** What a MongoDB query would do something with, were it ever put into one. */
const operators: unknown[] = [
  { $gt: "" },
  { $ne: null },
  { $regex: ".*" },
  { $where: "sleep(5000) || true" },
  { $function: { body: "function () { return true; }", args: [], lang: "js" } },
  { $expr: { $eq: [1, 1] } },
  { $or: [{}] },
  { $in: ["a", null] },
  { $not: { $eq: 1 } },
  { $exists: true },
  { $jsonSchema: {} },
  [{ $gt: "" }],
  { $code: "while (true);" },
  { $oid: "0123456789abcdef01234567" },
  { $numberLong: "1e999" },
  { $date: "never" },
  { $minKey: 1 },
  { $set: { status: "active" } },
  { $merge: "admin_users" },
  { toString: 1, valueOf: 1, toJSON: 1 },
];

/** Text that does something elsewhere: in headers, logs, paths, templates, pages. */
const texts: string[] = [
  "a\r\nSet-Cookie: evil=1",
  "a\nX-Evil: 1",
  '"}\n{"level":60,"msg":"evil"}',
  "a\u0000b",
  "\u202eecila",
  "' || '1'=='1",
  "true, $where: '1 == 1'",
  "../../../etc/passwd",
  "..\\..\\windows\\win.ini",
  "%00",
  "${7*7}{{7*7}}#{7*7}",
  "<script>alert(1)</script>",
  "__proto__",
  "constructor",
  "$where",
  "a.$[].b",
  "\ud800",
  "\u{1f4a9}".repeat(100),
  "x".repeat(30_000),
  "",
];
const numbers = [-1, 0, 1e308, -1e308, 9007199254740993, 0.1];

/** Names that an organization, an admin or a token has inside, and some that make a prototype. */
const assigned: Record<string, unknown> = {
  tier: "enterprise",
  status: "active",
  region: "elsewhere",
  _id: "0123456789abcdef01234567",
  id: "0123456789abcdef01234567",
  organization_id: "0123456789abcdef01234567",
  tenant_id: "0123456789abcdef01234567",
  admin_id: "0123456789abcdef01234567",
  role: "operator",
  scopes: ["*"],
  is_admin: true,
  tokens: { generation: -1 },
  placement: { database: "admin", collection: "system.users" },
  email_keys: ["evil@example.com"],
  guard: 1e9,
  _croupier: { version: 1 },
  $set: { status: "active", tier: "enterprise" },
  $where: "1",
};

const json = (value: unknown) => JSON.stringify(value);

/** Each field of a request with each hostile value, beside the right ones. */
export const wrongFields = ({ body }: Route): Attack[] =>
  !body
    ? []
    : body.fields.flatMap((field) =>
        [...operators, ...texts, ...numbers, null, true, [], {}].map((value) => ({
          what: `${field}: ${String(json(value)).slice(0, 60)}`,
          body: json({ ...body.example, [field]: value }),
        })),
      );

/** A right request with a field more. Written as text, for `__proto__` is none in a literal. */
export const massAssignments = ({ body }: Route): Attack[] => {
  const start = body && json(body.example).replace(/\}$/, Object.keys(body.example).length > 0 ? "," : "");
  const extra = Object.entries(assigned).map(([name, value]) => [name, json(value)] as const);
  const prototypes = [
    ["__proto__", json({ tier: "enterprise", isAdmin: true })],
    ["constructor", json({ prototype: { isAdmin: true } })],
  ] as const;
  if (start === undefined) return [{ what: "all fields at once", body: json(assigned) }];
  return [...extra, ...prototypes].map(([name, value]) => ({
    what: `assigns ${name}`,
    body: `${start}"${name}":${value}}`,
  }));
};

/** Bodies that are no right request as a whole. */
export const wrongBodies = ({ body, method }: Route, bytesMax: number): Attack[] => {
  if (method === "GET") return [];
  const text = json(body?.example ?? {});
  const as = (type: string): Attack => ({ what: `sent as ${type}`, body: text, headers: { "content-type": type } });
  const types = [
    "text/plain",
    "application/xml",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/bson",
    "x".repeat(5_000),
  ];
  const bodies: Record<string, string> = {
    "too large": `{"a":"${"x".repeat(bytesMax)}"}`,
    "cut off": text.slice(0, -1),
    "nested 20,000 deep": "[".repeat(20_000) + "]".repeat(20_000),
    "opened 20,000 times": '{"a":'.repeat(20_000),
    null: "null",
    "a list": `[${text}]`,
    "a number": "1e999",
    "an operator": json({ $gt: "" }),
    XML: '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>',
    "UTF-16": text.split("").join("\u0000"),
    "3,000 fields": json(Object.fromEntries(Array.from({ length: 3_000 }, (_, n) => [`f${n}`, 1]))),
  };
  // What takes no body ignores it: then a few are enough.
  const some = body ? Object.entries(bodies) : Object.entries(bodies).slice(0, 2);
  return [
    ...some.map(([what, content]) => ({ what: `body: ${what}`, body: content })),
    ...(body ? types : types.slice(0, 1)).map(as),
  ];
};

/** Each parameter of the query as MongoDB's drivers of other languages would read it, and unknown ones. */
export const wrongQueries = ({ query, path }: Route): Attack[] => {
  if (query.length === 0) return [{ what: "query: unknown", query: "?tenant_id[$ne]=x&organization_id=x&admin=true" }];
  const right = path === "/org/get" ? "organization_name=nobody-has-this" : "";
  return query.flatMap((name) => [
    ...["[$ne]=", "[$gt]=", "[$regex]=.*", "[]=a", "=a&" + name + "=b", ".$where=1", "[__proto__][a]=b"].map(
      (rest) => ({
        what: `query: ${name}${rest}`,
        query: `?${right}&${name}${rest}`,
      }),
    ),
    ...[
      ...operators.map((each) => String(json(each))),
      ...texts.filter((each) => each.length < 5_000 && each.isWellFormed()),
    ].map((value) => ({
      what: `query: ${name}=${value.slice(0, 40)}`,
      query: `?${name}=${encodeURIComponent(value)}`,
    })),
    { what: `query: ${name}, encoded wrongly`, query: `?${name}=%ff%zz%u0041` },
    { what: `query: ${name}, long`, query: `?${name}=${"x".repeat(20_000)}` },
  ]);
};

/** Each route with a parameter in its path, with ids that lead elsewhere. */
export const wrongPaths = ({ path, body }: Route, strangers: readonly string[]): Attack[] => {
  if (!path.includes(":")) return [];
  const ids = [
    "..%2f..%2fadmin%2fme",
    "%2e%2e%2fsessions",
    "..%5c..",
    ".",
    "%2e%2e",
    "..;",
    "%00",
    "a%00.json",
    "%0d%0aSet-Cookie:%20evil=1",
    "%0aX-Evil:1",
    "%ff",
    "%ed%a0%80",
    "%c0%af",
    "%zz",
    "%F0%9F%92%A9",
    "%E2%80%AE",
    "%EF%BC%8F",
    "*",
    "%24where",
    "__proto__",
    "constructor",
    "-1",
    "1e999",
    "null",
    "%7B%22%24ne%22:null%7D",
    "%7B%22%24oid%22:%220123456789abcdef01234567%22%7D",
    "'%20OR%201=1--",
    "a;b=c",
    "a%3Fb%23c",
    "x".repeat(12_000),
    "%25".repeat(2_000),
    ...strangers.map(encodeURIComponent),
  ];
  const content = body ? { body: json(body.example) } : {};
  return ids.map((id) => ({ what: `id: ${id.slice(0, 40)}`, path: fill(path, id), ...content }));
};

export const wrongHeaders = ({ path, body }: Route): Attack[] => {
  const headers = Object.entries({
    "x-request-id": "evil\u00e9 id {}",
    "user-agent": "\u001b[31mevil".replaceAll("\u001b", "\u007f"),
    "x-forwarded-for": "' OR 1=1, 127.0.0.1",
    "x-forwarded-host": "evil.example",
    "x-original-url": "/platform/operations",
    "x-http-method-override": "DELETE",
    origin: "https://evil.example",
    host: "evil.example",
    "if-match": '"'.repeat(5_000),
    "if-none-match": "*, *, *",
    "idempotency-key": "{$ne:1}",
    "content-encoding": "gzip",
    "accept-language": "../".repeat(1_000),
    range: "bytes=0-,0-,0-",
  });
  // Each of these removes an organization: a few are enough.
  const some = path === "/org/delete" ? headers.slice(0, 2) : headers;
  const content = body ? { body: json(body.example) } : {};
  return some.map(([name, value]) => ({ what: `header: ${name}`, headers: { [name]: value }, ...content }));
};
