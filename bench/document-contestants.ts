/** Who is asked for documents: each is started, given the same documents, and says with which requests to ask it. */
import { join } from "node:path";
import { type Db, type MongoClient, ObjectId } from "mongodb";
import type { Scope } from "../dev/lib/scope.ts";
import { depsOfCommand } from "../test/support/command-deps.ts";
import { createKey } from "../src/operator/create-key.ts";
import { type Tier, tiers } from "../src/tenant/placement.ts";
import { admission, credentials, croupierCommand, findPeer, launch, send } from "./contestants.ts";
import { benchDocument, extendedDate, parseDate, storedDate } from "./document.ts";
import { createLimitIndexes, enterpriseOf, limitTiers } from "./limit-tiers.ts";
import { request } from "./load.ts";

export const documentCalls = ["insert", "get", "list"] as const;
export type DocumentCall = (typeof documentCalls)[number];

export interface Target {
  contestant: "croupier" | "limit" | "parse";
  tier: Tier | null;
  order: number;
  port: number;
  pid: number;
  requests: Record<DocumentCall, { requests: string[]; status: number }>;
}

/** So many documents has the tenant that is read. In the shared collection nine others have as many. */
const documentsCount = 1_000;
const neighboursCount = 9;
export const pageMax = 20;
const parseMasterKey = "for-the-benchmark-only-0123456789abcdef";

const numbers = (count: number) => Array.from({ length: count }, (_, index) => index);

/** What is inserted goes to another tenant, so that what is read stays as it was, however fast a contestant inserts. */
function requestsOf(
  paths: { read: string; insert: string; list: string },
  ids: string[],
  headers: { read: Record<string, string>; insert: Record<string, string> },
  date: (iso: string) => unknown,
): Target["requests"] {
  const bodies = numbers(500).map((number) => benchDocument(number, date));
  return {
    insert: { requests: bodies.map((body) => request("POST", paths.insert, body, headers.insert)), status: 201 },
    get: { requests: ids.map((id) => request("GET", `${paths.read}/${id}`, undefined, headers.read)), status: 200 },
    list: { requests: [request("GET", paths.list, undefined, headers.read)], status: 200 },
  };
}

export type Tenant = { id: string; headers: Record<string, string> };

/** Makes an organization and signs its admin in. */
export async function createTenant(url: string, name: string): Promise<Tenant> {
  const { id = "" } = await send(`${url}/org/create`, admission(name), 201);
  const { access_token: token = "" } = await send(`${url}/admin/login`, credentials(name), 200);
  return { id, headers: { Authorization: `Bearer ${token}` } };
}

/** Inserts documents for a tenant, a thousand in a request. @returns their ids as text */
export async function insertMany(url: string, headers: Record<string, string>, count: number, textBytes?: number) {
  const ids: string[] = [];
  for (let start = 0; start < count; start += 1_000) {
    const batch = numbers(Math.min(1_000, count - start)).map((index) =>
      benchDocument(start + index, extendedDate, textBytes),
    );
    const { inserted_ids: inserted } = await send(`${url}/org/documents`, batch, 201, headers);
    ids.push(...(inserted as unknown as { $oid: string }[]).map(({ $oid }) => $oid));
  }
  return ids;
}

/** A key for moves, made as `croupier key create` makes it. */
export async function makeOperatorKey(db: Db): Promise<string> {
  const wanted = { name: "bench", scopes: ["moves:write" as const, "organizations:read" as const] };
  return (await createKey(depsOfCommand(db), wanted)).key;
}

/** Takes an organization to a tier, and waits until it is there. */
export async function moveTenant(
  url: string,
  operatorKey: string,
  id: string,
  tier: Tier,
): Promise<Record<string, unknown>> {
  const operator = { Authorization: `Bearer ${operatorKey}` };
  const { id: operation } = await send(`${url}/platform/organizations/${id}/moves`, { tier }, 202, operator);
  for (;;) {
    const answer = await fetch(`${url}/platform/operations/${operation}`, { headers: operator });
    const view = (await answer.json()) as Record<string, unknown>;
    if (view.status === "succeeded") return view;
    if (view.status !== "running") throw new Error(`the move to ${tier} ${view.status}: ${view.error}`);
    await Bun.sleep(200);
  }
}

/** Removes the databases of enterprise tenants, which are beside Croupier's own. */
export async function removeEnterprise(client: MongoClient, databaseName: string): Promise<void> {
  const { databases } = await client.db("admin").admin().listDatabases({ nameOnly: true });
  const own = databases.filter(({ name }) => name.startsWith(`${databaseName}_`) && /_[0-9a-f]{24}_\d+$/.test(name));
  for (const { name } of own) await client.db(name).dropDatabase();
}

/** One process with tenants of all tiers. */
export async function startCroupier(url: string, client: MongoClient, scope: Scope, binary: boolean) {
  const program = {
    title: "Croupier",
    command: croupierCommand(binary),
    databaseName: "croupier_bench",
  };
  scope.defer(() => removeEnterprise(client, program.databaseName));
  const db = client.db(program.databaseName);
  const { port, pid, url: at } = await launch(program, url, db, scope);
  const operatorKey = await makeOperatorKey(db);
  const targets: Target[] = [];
  for (const [index, tier] of tiers.entries()) {
    const names = ["read", "insert", ...(tier === "starter" ? numbers(neighboursCount).map(String) : [])];
    const tenants = await Promise.all(names.map((name) => createTenant(at, `bench-${tier}-${name}`)));
    if (tier !== "professional") await Promise.all(tenants.map(({ id }) => moveTenant(at, operatorKey, id, tier)));
    const [read, insert, ...neighbours] = tenants as [Tenant, Tenant, ...Tenant[]];
    const ids = await insertMany(at, read.headers, documentsCount);
    for (const { headers } of neighbours) await insertMany(at, headers, documentsCount);
    const paths = { read: "/org/documents", insert: "/org/documents", list: `/org/documents?limit=${pageMax}` };
    const headers = { read: read.headers, insert: insert.headers };
    const requests = requestsOf(paths, ids, headers, extendedDate);
    targets.push({ contestant: "croupier", tier, order: index * 2, port, pid, requests });
  }
  return targets;
}

export async function startLimit(url: string, client: MongoClient, scope: Scope): Promise<Target[]> {
  const program = {
    title: "the limit",
    command: [process.execPath, join(import.meta.dir, "limit-documents.ts")],
    databaseName: "croupier_bench_limit",
  };
  const db = client.db(program.databaseName);
  scope.defer(() => enterpriseOf(db).dropDatabase());
  await enterpriseOf(db).dropDatabase();
  const { port, pid } = await launch(program, url, db, scope);
  await createLimitIndexes(db, ["read", "insert"]);
  const places = limitTiers(db);
  const others = numbers(neighboursCount).map((number) => `other${number}`);
  const targets: Target[] = [];
  for (const [index, tier] of tiers.entries()) {
    let ids: ObjectId[] = [];
    for (const tenant of [...(tier === "starter" ? others : []), "read"]) {
      const { collection, idIn } = places[tier](tenant);
      ids = numbers(documentsCount).map(() => new ObjectId());
      await collection.insertMany(
        ids.map((id, number) => ({
          _id: idIn(id) as never,
          ...benchDocument(number, storedDate),
          tenant_id: tenant,
          _croupier: { v: 1, h: ["0123456789ab"] },
        })),
      );
    }
    const paths = { read: `/${tier}/read`, insert: `/${tier}/insert`, list: `/${tier}/read` };
    const texts = ids.map((id) => id.toHexString());
    const requests = requestsOf(paths, texts, { read: {}, insert: {} }, (iso) => iso);
    targets.push({ contestant: "limit", tier, order: index * 2 + 1, port, pid, requests });
  }
  return targets;
}

export async function startParse(url: string, client: MongoClient, scope: Scope) {
  const { nodeVersion, command, missing } = await findPeer("parse");
  if (!command) return { targets: [], nodeVersion, missing: `Parse Server is not measured: ${missing}.` };
  const program = {
    title: "Parse Server",
    command,
    databaseName: "croupier_bench_parse",
    env: { PARSE_MASTER_KEY: parseMasterKey },
    readyPath: "/parse/health",
  };
  const { port, pid, url: at } = await launch(program, url, client.db(program.databaseName), scope);
  const application = { "X-Parse-Application-Id": "bench" };
  const { sessionToken = "" } = await send(
    `${at}/parse/users`,
    { username: "bench", password: "Bench-1234" },
    201,
    application,
  );
  const headers = { ...application, "X-Parse-Session-Token": sessionToken };
  const ids: string[] = [];
  for (let start = 0; start < documentsCount; start += 20) {
    const answers = numbers(20).map((index) =>
      send(`${at}/parse/classes/Document`, benchDocument(start + index, parseDate), 201, headers),
    );
    ids.push(...(await Promise.all(answers)).map(({ objectId = "" }) => objectId));
  }
  const classes = "/parse/classes";
  const paths = {
    read: `${classes}/Document`,
    insert: `${classes}/Inserted`,
    list: `${classes}/Document?limit=${pageMax}&order=objectId`,
  };
  const requests = requestsOf(paths, ids, { read: headers, insert: headers }, parseDate);
  const target: Target = { contestant: "parse", tier: null, order: 6, port, pid, requests };
  return { targets: [target], nodeVersion, missing: undefined };
}
