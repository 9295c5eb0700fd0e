import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { BSON } from "mongodb";
import { type Attack, createTarget, inLanes, nameOf, offence, type Route, type Target } from "../support/attack.ts";
import {
  massAssignments,
  wrongBodies,
  wrongFields,
  wrongHeaders,
  wrongPaths,
  wrongQueries,
} from "../support/hostile.ts";
import { useOperatorKey } from "../support/operator.ts";
import { newcomer, useService } from "../support/service.ts";
import { signInTo, sidOf } from "../support/session.ts";

setDefaultTimeout(120_000);
const bytesMax = 65_536;
// All tenants in one collection: where a filter that says too much would show others' documents.
const service = useService({
  DEFAULT_TIER: "starter",
  MAX_BODY_BYTES: String(bytesMax),
  MAX_DOCUMENTS_BYTES: String(2 * bytesMax),
  JWT_SECRET_KEY: "a-secret-of-the-attacks-and-of-nothing-else",
});

const operatorKey = useOperatorKey(service);
const marker = "only-the-victim-may-see-this";
type Joined = Awaited<ReturnType<typeof service.join>>;
let target: Target;
let victim: Joined;
let attacker: Joined;
let strangers: string[];
let secrets: string[];
const tokens = new Set<string>();

const join = async (hint: string) => {
  const who = await service.join(hint);
  tokens.add(who.token);
  return who;
};
beforeAll(async () => {
  target = await createTarget(service);
  victim = await join("victim");
  attacker = await join("attacker");
  const documents = [
    { _id: "victims", text: marker },
    { _id: "no-id", text: marker },
  ];
  await service.send("POST", "/org/documents", { token: victim.token, body: documents });
  const { body: me } = await service.send("GET", "/admin/me", { token: victim.token });
  strangers = [victim.id, me.admin_id, sidOf(victim.token), "victims", victim.organization_name];
  secrets = [marker, victim.email, victim.token, sidOf(victim.token)];
}, 60_000);
afterAll(() => console.log(`attacks with hostile input: ${target.count()}`));

/** All that is the victim's, as the database has it. */
async function victims(): Promise<string> {
  const { db } = service;
  const found = await Promise.all([
    db.collection("organizations").find({ organization_name: victim.organization_name }).toArray(),
    db.collection("admin_users").find({ email: victim.email }).toArray(),
    db
      .collection("sessions")
      .find({ _id: sidOf(victim.token) as never })
      .toArray(),
    db.collection("tenant_documents").find({ text: marker }).sort({ _id: 1 }).toArray(),
    db.collection("revocations").countDocuments({ organization_id: victim.id }),
  ]);
  return BSON.EJSON.stringify(found);
}

/** Attacks a route as one who is signed in, each time anew when an attack was a sign-out or a removal. */
async function assault(
  route: Route,
  attacks: Attack[],
  judge: (answer: Awaited<ReturnType<Target["attack"]>>) => string | null = () => null,
) {
  const offences: string[] = [];
  const isFinal = /\/(delete|logout|logout-all)$/.test(route.path);
  await inLanes(attacks, isFinal ? 1 : 8, async (attack) => {
    const credentials = () =>
      route.wants === "admin" ? attacker.token : route.wants === "operator" ? operatorKey() : null;
    const send = () => {
      const given = credentials();
      const authorization = given === null ? {} : { authorization: `Bearer ${given}` };
      return target.attack(route, { ...attack, headers: { ...authorization, ...attack.headers } });
    };
    let answer = await send();
    if (answer.status === 401 && route.wants === "admin") {
      attacker = await join("attacker");
      answer = await send();
      if (answer.status === 401)
        offences.push(`${nameOf(route)}, ${attack.what}: not let in, so nothing is shown by it`);
    }
    // An operator sees all tenants: that is no attack.
    // Nor is it one to be told what one has asked for.
    const told = secrets.filter((secret) => route.wants !== "operator" && !attack.path?.includes(secret));
    const wrong = offence(answer, told) ?? judge(answer);
    if (wrong) offences.push(`${nameOf(route)}, ${attack.what}: ${wrong}`);
  });
  return offences;
}
const assaultAll = async (
  make: (route: Route) => Attack[],
  judge?: (route: Route) => Parameters<typeof assault>[2],
) => {
  const offences: string[] = [];
  const before = await victims();
  for (const route of target.routes) offences.push(...(await assault(route, make(route), judge?.(route))));
  expect(offences).toEqual([]);
  expect(await victims()).toBe(before);
};
/** Where a body is a tenant's own document any field may be there; `tenant_id` and what else Croupier keeps may not. */
const takesDocuments = ({ method, path }: Route) =>
  /^\/org\/documents(\/:id)?$/.test(path) && ["POST", "PUT", "PATCH"].includes(method);

/** Clients of before may send any body with it; but for the password nothing of it is read. */
const readsOver = (route: Route) => nameOf(route) === "DELETE /org/delete";

describe("hostile input gets a problem document on every route, never a 5xx or another's data", () => {
  test("every route withstands operators, hostile text and hostile numbers in every field of its body", () =>
    assaultAll(wrongFields));

  test("fields that are not the caller's to set are refused, and nothing of them is stored", async () => {
    await assaultAll(massAssignments, (route) => ({ status, text }) => {
      if (!route.body || takesDocuments(route) || readsOver(route)) return null;
      return status === 422 || status === 404 ? null : `took it: ${status} ${text.slice(0, 100)}`;
    });
    const { db } = service;
    const organizations = await db.collection("organizations").find().toArray();
    expect(new Set(organizations.map(({ tier, region }) => `${tier} ${region}`))).toEqual(new Set(["starter default"]));
    const foreign = "0123456789abcdef01234567";
    expect(await db.collection("tenant_documents").countDocuments({ tenant_id: foreign })).toBe(0);
    expect(await db.collection("admin_users").countDocuments({ email_keys: "evil@example.com" })).toBe(0);
    expect(({} as Record<string, unknown>).isAdmin).toBeUndefined();
  });

  test("every route withstands bodies that are too large, of another type, or no request at all", () =>
    assaultAll(
      (route) => wrongBodies(route, 2 * bytesMax),
      (route) =>
        ({ status, text }) =>
          route.body && !route.path.startsWith("/org/documents") && !readsOver(route) && status < 400
            ? `took it: ${text.slice(0, 100)}`
            : null,
    ));

  test("every route withstands operators, lists and hostile text in every parameter of its query", () =>
    assaultAll(wrongQueries));

  test("every route withstands ids that lead elsewhere, and those of others", () =>
    assaultAll((route) => wrongPaths(route, route.wants === "operator" ? [] : strangers)));

  test("every route withstands hostile headers", () => assaultAll(wrongHeaders));
});

describe("two tenants in one collection", () => {
  const isOfVictim = () => [
    { tenant_id: victim.id },
    { tenant_id: { $ne: attacker.id } },
    { tenant_id: { $exists: true } },
  ];
  const find = (filter: unknown, more: object = {}) => ({ path: "/org/documents/find", body: { filter, ...more } });
  const aggregate = (...pipeline: unknown[]) => ({ path: "/org/documents/aggregate", body: { pipeline } });

  test("filters, projections, sorts and stages can't reach another tenant's documents", async () => {
    const from = ["tenant_documents", "admin_users", "organizations", "sessions"];
    const asked = [
      ...isOfVictim().flatMap((filter) => [
        find(filter),
        find({ $or: [filter, {}] }),
        find({ $nor: [{ $nor: [filter] }] }),
        find({ $and: [filter] }),
        find({ $expr: { $eq: ["$tenant_id", victim.id] } }),
        { path: "/org/documents/count", body: { filter } },
        aggregate({ $match: filter }),
        aggregate({ $facet: { a: [{ $match: filter }] } }),
      ]),
      find({}, { projection: { tenant_id: 1, _croupier: 1 } }),
      find({}, { projection: { all: "$$ROOT.tenant_id" } }),
      find({}, { sort: { tenant_id: 1 } }),
      ...from.flatMap((collection) => [
        aggregate({ $lookup: { from: collection, pipeline: [], as: "all" } }),
        aggregate({ $lookup: { from: collection, localField: "x", foreignField: "y", as: "all" } }),
        aggregate({ $unionWith: collection }),
        aggregate({ $unionWith: { coll: collection, pipeline: [] } }),
        aggregate({
          $graphLookup: { from: collection, startWith: "$a", connectFromField: "a", connectToField: "b", as: "all" },
        }),
        aggregate({ $facet: { a: [{ $unionWith: collection }] } }),
        aggregate({ $out: collection }),
        aggregate({ $merge: { into: collection } }),
      ]),
      ...[
        "$collStats",
        "$indexStats",
        "$currentOp",
        "$listSessions",
        "$listLocalSessions",
        "$planCacheStats",
        "$changeStream",
      ].map((stage) => aggregate({ [stage]: {} })),
      aggregate({ $set: { all: "$$ROOT.tenant_id" } }),
      aggregate({ $set: { all: { $function: { body: "function () { return db; }", args: [], lang: "js" } } } }),
      aggregate({ $group: { _id: null, all: { $accumulator: { init: "function () {}", lang: "js" } } } }),
    ];
    const route = target.routes.find(({ path }) => path === "/org/documents/find")!;
    const before = await victims();
    const counts: string[] = [];
    const offences = await assault(
      route,
      asked.map(({ path, body }) => ({ what: JSON.stringify(body), path, body: JSON.stringify(body) })),
      ({ status, body, text }) => {
        // Whatever is let through shows the caller's own, which has none.
        if (status === 200) counts.push(text);
        return status === 200 && (body.count > 0 || /victim/.test(text)) ? `shows ${text.slice(0, 100)}` : null;
      },
    );
    expect(offences).toEqual([]);
    expect(await victims()).toBe(before);
  });

  test("writes to an id that another tenant has, too, leave that tenant's document alone", async () => {
    const { token } = await join("attacker");
    const before = await victims();
    const own = { text: "own" };
    expect((await service.send("PUT", "/org/documents/victims", { token, body: own })).status).toBe(404);
    expect((await service.send("PATCH", "/org/documents/victims", { token, body: own })).status).toBe(404);
    expect((await service.send("DELETE", "/org/documents/victims", { token })).status).toBe(404);
    expect((await service.send("POST", "/org/documents", { token, body: { _id: "victims", ...own } })).status).toBe(
      201,
    );
    expect((await service.send("DELETE", "/org/documents/victims", { token })).status).toBe(204);
    expect(await victims()).toBe(before);
  });
});

test("after all that, the victim's own requests are answered as before", async () => {
  const { token } = victim;
  expect((await service.send("GET", "/org/documents/victims", { token })).body).toEqual({
    _id: "victims",
    text: marker,
  });
  expect((await service.send("GET", "/admin/me", { token })).body.email).toBe(victim.email);
  const who = newcomer();
  expect((await service.send("POST", "/org/create", { body: who })).status).toBe(201);
  await signInTo(service, who);
});

test("the log of all that is one JSON object a line, with no line that an attacker wrote, no token and no email", () => {
  expect(target.lines.length).toBeGreaterThanOrEqual(target.count() / 2);
  const wrong: string[] = [];
  const kept = [...tokens, operatorKey(), victim.email, attacker.email, attacker.password];
  for (const line of target.lines) {
    if (!/^\{[^\n]*\}\n$/.test(line)) wrong.push(line);
    const { level, msg } = JSON.parse(line);
    if (level > 40 || msg === "evil" || kept.some((each) => line.includes(each))) wrong.push(line.slice(0, 3_000));
  }
  expect(wrong).toEqual([]);
});
