import { beforeAll, describe, expect, test, setDefaultTimeout } from "bun:test";
import { type Tier, tiers } from "../../src/tenant/placement.ts";
import { type Answer } from "../support/service.ts";
import { type Client, joinAs, useTiers } from "../support/tenants.ts";

// Three services, moves, and documents of 16 MB: a busy machine takes its time.
setDefaultTimeout(60_000);
const services = useTiers();
let clients: Record<Tier, Client>;
beforeAll(async () => {
  const joined = await Promise.all(tiers.map(async (tier) => [tier, await joinAs(services[tier], "same")] as const));
  clients = Object.fromEntries(joined) as Record<Tier, Client>;
});

/** What each tenant is told, but for what is its own: ids that were made, writes and requests. */
const normalized = ({ status, headers, text }: Answer) => ({
  status,
  headers: Object.fromEntries(
    [...headers]
      .filter(([name]) => !["date", "x-request-id", "content-length", "ratelimit"].includes(name))
      .map(([name, value]) => [name, hide(value)]),
  ),
  text: hide(text),
});
const hide = (text: string) =>
  text
    .replace(/"(\d+)-[\w-]{12}\\?"/g, '"$1-write"')
    .replace(/\b[0-9a-f]{8}-[0-9a-f-]{27}\b/g, "request")
    .replace(/\b[0-9a-f]{24}\b/g, "id")
    // A cursor: what it holds is in the pages.
    .replace(/"next_cursor":"[\w-]+"/, '"next_cursor":"…"');

type Call = [method: string, path: string, body?: unknown, headers?: Record<string, string>];
const q = (value: unknown) => encodeURIComponent(JSON.stringify(value));
const documents = "/documents";
const calls: Call[] = [
  ["GET", documents],
  ["GET", "/indexes"],
  ["POST", `${documents}/count`, {}],
  ["POST", documents, { n: 1 }],
  ["POST", documents, { _id: "a", n: 2, tags: ["x", "y"], deep: { a: 1, b: [1, { c: 2 }] } }],
  ["POST", documents, '{"_id":5,"n":3.0,"at":{"$date":"1969-12-31T23:59:59Z"},"d":{"$numberDecimal":"1.10"}}'],
  ["POST", documents, '{"_id":{"$numberLong":"9007199254740993"},"n":null}'],
  ["POST", documents, '{"_id":5.0}'],
  ["POST", documents, [{ _id: "b" }, { _id: "a" }, { _id: true, n: 4 }]],
  ["POST", documents, { _id: { t: "x", i: 1 } }],
  ["POST", documents, { tenant_id: "x" }],
  ["POST", documents, { _croupier: null }],
  ["POST", documents, "{"],
  ["POST", documents, { once: 1 }, { "idempotency-key": "k" }],
  ["POST", documents, { once: 1 }, { "idempotency-key": "k" }],
  ["POST", documents, { once: 2 }, { "idempotency-key": "k" }],
  ["POST", documents, { _id: "large", text: "x".repeat(17_000_000) }],
  ["GET", `${documents}/a`],
  ["GET", `${documents}/5`],
  ["GET", `${documents}/%225%22`],
  ["GET", `${documents}/a`, undefined, { "if-none-match": "*" }],
  ["GET", `${documents}/${q({ t: "x", i: "a" })}`],
  ["PUT", `${documents}/b`, { n: 7 }],
  ["PUT", `${documents}/b`, { _id: "c" }],
  ["PUT", `${documents}/c`, {}],
  ["PUT", `${documents}/b`, {}, { "if-match": '"1-AAAAAAAAAAAA"' }],
  ["PATCH", `${documents}/a`, { deep: { a: null, x: 1 }, tags: null }],
  ["PATCH", `${documents}/5`, { n: 5 }],
  ["PATCH", `${documents}/a`, { tenant_id: null }],
  ["DELETE", `${documents}/c`],
  ["DELETE", `${documents}/true`],
  ["DELETE", `${documents}/true`],
  ["GET", `${documents}?sort=-n&limit=2&filter=${q({ n: { $gte: 1 } })}`],
  ["GET", `${documents}?sort=-n&limit=2&cursor=x`],
  ["GET", `${documents}?projection=${q({ n: 1, _id: 0 })}&filter=${q({ _id: { $in: ["a", "b", 5] } })}`],
  ["GET", `${documents}?projection=${q({ tags: 0, deep: 0 })}&filter=${q({ _id: { $type: "string" } })}`],
  ["GET", `${documents}?filter=${q({ "_id.t": { $exists: true } })}`],
  ["GET", `${documents}?filter=${q({ tenant_id: "x" })}`],
  ["POST", `${documents}/find`, { filter: { _id: { t: "x", i: "a" } } }],
  ["POST", `${documents}/find`, { filter: { _id: { $gt: "a" } }, sort: { _id: -1 } }],
  ["POST", `${documents}/find`, { filter: { _id: { $elemMatch: { $gt: 1 } } } }],
  ["POST", `${documents}/find`, { filter: { $where: "1" } }],
  ["POST", `${documents}/find`, { filter: { n: { $regex: "(" } } }],
  ["POST", `${documents}/find`, { sort: "tenant_id" }],
  ["POST", `${documents}/count`, { filter: { _id: { $type: "object" } } }],
  [
    "POST",
    `${documents}/aggregate`,
    { pipeline: [{ $match: { _id: "a" } }, { $set: { t: "$tenant_id", i: "$_id.i" } }] },
  ],
  [
    "POST",
    `${documents}/aggregate`,
    { pipeline: [{ $sort: { _id: 1 } }, { $project: { all: { $objectToArray: "$$ROOT" } } }, { $limit: 3 }] },
  ],
  [
    "POST",
    `${documents}/aggregate`,
    { pipeline: [{ $group: { _id: { $type: "$_id" }, n: { $sum: 1 } } }, { $sort: { _id: 1 } }] },
  ],
  ["POST", `${documents}/aggregate`, { pipeline: [{ $lookup: { from: "admin_users" } }] }],
  ["POST", `${documents}/aggregate`, { pipeline: [{ $set: { n: { $toInt: "x" } } }] }],
  ["POST", "/indexes", { key: { n: 1 }, unique: true }],
  ["POST", "/indexes", { key: { n: 1 }, unique: true }],
  ["POST", "/indexes", { key: { n: 1 }, name: "again" }],
  ["POST", "/indexes", { key: { n: -1 }, name: "n_1" }],
  ["POST", "/indexes", { key: { created_at: 1 }, unique: true, name: "mine" }],
  ["POST", "/indexes", { key: { _id: 1 } }],
  ["POST", "/indexes", { key: { _id: 1, n: 1 } }],
  ["POST", "/indexes", { key: { "deep.a": 1, n: -1 }, name: "both" }],
  ["POST", documents, { n: 7 }],
  ["PATCH", `${documents}/a`, { n: 7 }],
  ["POST", documents, [{ n: 7 }, { n: 8 }]],
  ["GET", "/indexes"],
  ["DELETE", "/indexes/n_1"],
  ["DELETE", "/indexes/n_1"],
  ["DELETE", "/indexes/created_at_1"],
  ["POST", documents, { n: 7 }],
  ["GET", `${documents}?sort=-n`],
];

describe("the same requests have the same answers in all three tiers", () => {
  test.each(calls.map((call, n) => [`${n} ${call[0]} ${decodeURIComponent(call[1])}`.slice(0, 80), call] as const))(
    "%s",
    async (_name, [method, path, body, headers]) => {
      const [first, ...others] = await Promise.all(
        tiers.map(async (tier) => normalized(await clients[tier].ask(method, path, body, headers))),
      );
      expect(first!.status).toBeLessThan(500);
      for (const other of others) expect(other).toEqual(first!);
    },
  );

  test("but for what says where they are", async () => {
    for (const tier of tiers) {
      const { body } = await services[tier].send("POST", "/org/create", {
        body: { organization_name: `in-${tier}`, email: `${tier}@example.com`, password: "Correct-Horse-7" },
      });
      expect(body).toMatchObject({
        tier,
        status: "active",
        connection_details: {
          starter: "Shared collection: tenant_documents",
          professional: `Collection: org_in-${tier}`,
          enterprise: expect.stringMatching(new RegExp(`^Database: \\w+_${body.id}_\\d+$`)),
        }[tier],
      });
    }
  });
});
