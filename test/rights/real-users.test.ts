import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { type Document, MongoClient, ObjectId } from "mongodb";
import { createDeps } from "../../src/boot.ts";
import { createClient } from "../../src/lib/mongo/client.ts";
import { type RunningService, startService } from "../../src/serve.ts";
import { doctor, type Report } from "../../src/fleet/doctor.ts";
import { createLogger } from "../../src/log.ts";
import { operations } from "../../src/operation/store.ts";
import { inspect } from "../../src/takeover/inspect.ts";
import { type Tier, tiers } from "../../src/tenant/placement.ts";
import { findLacks, needs } from "../../src/tenant/place/rights.ts";
import { until } from "../support/crash.ts";
import { makeOperatorKey } from "../support/operator.ts";
import { dropAll, freshDatabaseName, newcomer, send, testConfig } from "../support/service.ts";

setDefaultTimeout(120_000);

// Only with a server that wants to know who asks: MONGODB_ADMIN_URL is that of a user who may make users there.
const adminUrl = process.env.MONGODB_ADMIN_URL;
const databaseName = freshDatabaseName();
const name = (what: string) => `${what}_${databaseName}`;

const own = (feature: keyof typeof needs) => ({
  resource: { db: databaseName, collection: needs[feature].collection ?? "" },
  actions: [...needs[feature].actions],
});
const everywhere = { resource: { db: "", collection: "" }, actions: [...needs.enterprise.actions] };

/** What a user is given, and the tiers that it gets by that. */
const users: [string, { roles: Document[]; privileges?: Document[]; tiers: Tier[] }][] = [
  [
    "readWrite on one database",
    { roles: [{ role: "readWrite", db: databaseName }], tiers: ["starter", "professional"] },
  ],
  ["readWriteAnyDatabase", { roles: [{ role: "readWriteAnyDatabase", db: "admin" }], tiers: [...tiers] }],
  ["the documented role for starter", { roles: [], privileges: [own("service"), own("starter")], tiers: ["starter"] }],
  [
    "the documented role for starter and professional",
    {
      roles: [],
      privileges: [own("service"), own("starter"), own("professional")],
      tiers: ["starter", "professional"],
    },
  ],
  ["the documented role for all tiers", { roles: [], privileges: [own("service"), everywhere], tiers: [...tiers] }],
  ["root", { roles: [{ role: "root", db: "admin" }], tiers: [...tiers] }],
];

describe.skipIf(!adminUrl).each(users)("on a server with users, %s", (what, { roles, privileges, tiers: had }) => {
  const user = name(what.replace(/\W/g, ""));
  const url = new URL(adminUrl ?? "mongodb://none");
  let admin: MongoClient;
  const services = {} as Record<Tier, RunningService>;
  let key = "";
  const log: string[] = [];
  beforeAll(async () => {
    admin = await new MongoClient(adminUrl!).connect();
    const role = { createRole: user, privileges, roles: [] };
    if (privileges) await admin.db("admin").command(role);
    await admin.db("admin").command({ createUser: user, pwd: "secret", roles: privileges ? [user] : roles });
    Object.assign(url, { username: user, password: "secret" });
    url.searchParams.set("authSource", "admin");
    const lines = { write: (line: string) => void log.push(line) };
    for (const tier of tiers) {
      const config = testConfig({ MONGODB_URL: url.href, MONGODB_DB_NAME: databaseName, DEFAULT_TIER: tier });
      services[tier] = await startService(config, createLogger("warn", lines));
      expect(await services[tier].ready).toBe(true);
    }
    key = await makeOperatorKey(services.starter.deps.db);
  });
  afterAll(async () => {
    for (const tier of tiers) await services[tier].stop();
    await dropAll(admin.db(databaseName));
    await admin.db("admin").command({ dropUser: user });
    if (privileges) await admin.db("admin").command({ dropRole: user });
    await admin.close();
  });

  const ask = (method: string, path: string, options?: Parameters<typeof send>[3]) =>
    send(services.starter.url, method, path, options);
  const type = ({ body }: { body: any }) => String(body?.type).replace("urn:croupier:problem:", "");
  async function join(tier: Tier) {
    const who = newcomer(tier);
    const made = await send(services[tier].url, "POST", "/org/create", { body: who });
    if (made.status !== 201) return { ...who, made, token: "" };
    const { body } = await ask("POST", "/admin/login", { body: { email: who.email, password: who.password } });
    await ask("POST", "/org/documents", { token: body.access_token, body: [{ _id: "a" }, { _id: "b" }] });
    return { ...who, made, token: body.access_token };
  }
  const move = async (id: string, tier: Tier) => {
    const started = await ask("POST", `/platform/organizations/${id}/moves`, { token: key, body: { tier } });
    if (started.status !== 202) return `${started.status} ${type(started)}`;
    return await until("the move to end", async () => {
      const { body } = await ask("GET", started.headers.get("location")!, { token: key });
      return body.status !== "running" && body.status;
    });
  };
  const tenantDatabases = async () =>
    (await admin.db().admin().listDatabases({ nameOnly: true })).databases.filter(({ name }) =>
      name.startsWith(`${databaseName}_`),
    );

  test("has in the log, once at the start, what is missing", () => {
    const lacking = log.filter((line) => line.includes("lacks rights")).map((line) => JSON.parse(line).for);
    const missing = tiers.filter((tier) => !had.includes(tier));
    expect(lacking).toEqual(tiers.flatMap(() => missing));
  });

  test.each([...tiers])("gets the tier %s with all that can be done there, or is refused it up front", async (tier) => {
    const { made, token, password } = await join(tier);
    if (!had.includes(tier)) {
      expect([made.status, type(made)]).toEqual([503, "tier_unavailable"]);
      return;
    }
    expect(made.status).toBe(201);
    for (const other of tiers.filter((one) => one !== tier)) {
      const outcome = await move(made.body.id, other);
      expect([other, outcome]).toEqual([other, had.includes(other) ? "succeeded" : "503 tier_unavailable"]);
      if (had.includes(other)) expect([tier, await move(made.body.id, tier)]).toEqual([tier, "succeeded"]);
    }
    expect((await ask("POST", "/org/indexes", { token, body: { key: { n: 1 } } })).status).toBe(201);
    expect((await ask("DELETE", "/org/indexes/n_1", { token })).status).toBe(204);
    const { organization_name } = newcomer("renamed");
    expect((await ask("PUT", "/org/update", { token, body: { organization_name, password } })).status).toBe(200);
    const listed = await ask("GET", "/org/documents", { token });
    expect(listed.body.documents.map(({ _id }: Document) => _id)).toEqual(["a", "b"]);
    expect((await ask("DELETE", "/org/delete", { token })).status).toBe(204);
    expect(await tenantDatabases()).toEqual([]);
  });

  test("can cancel a move", async () => {
    const [from, to] = [had[0]!, had.at(-1)!];
    if (from === to) return;
    const { made, token } = await join(from);
    const path = `/platform/organizations/${made.body.id}/moves`;
    const started = await ask("POST", path, { token: key, body: { tier: to } });
    await ask("POST", `${started.headers.get("location")}/cancel`, { token: key });
    const db = admin.db(databaseName);
    await until("the move to end", async () => (await operations(db).countDocuments({ open: true })) === 0);
    expect((await ask("DELETE", "/org/delete", { token })).status).toBe(204);
    expect(await tenantDatabases()).toEqual([]);
  });

  test("can inspect, and have the doctor look and mend", async () => {
    for (const tier of had) await join(tier);
    const config = testConfig({ MONGODB_URL: url.href, MONGODB_DB_NAME: databaseName, DEFAULT_TIER: had[0]! });
    const deps = await createDeps(config, createClient(url.href), createLogger("silent"));
    expect(await inspect(deps)).toEqual([]);
    const found: Report[] = [];
    expect([await doctor(deps, { repair: true }, (one) => found.push(one)), found]).toEqual([0, []]);
    const left = `${databaseName}_${new ObjectId().toHexString()}_1`;
    await admin.db(left).createCollection("documents");
    await doctor(deps, { repair: false }, (one) => found.push(one));
    expect(found.map(({ finding }) => finding)).toEqual(
      had.includes("enterprise") ? ["database_without_organization"] : [],
    );
    await admin.db(left).dropDatabase();
    expect((await findLacks({ home: deps.db })).map(({ feature }) => String(feature))).toEqual(
      tiers.filter((tier) => !had.includes(tier)),
    );
    await deps.close();
  });
});
