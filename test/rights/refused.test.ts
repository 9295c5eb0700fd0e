import { afterAll, afterEach, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { Writable } from "node:stream";
import { type Document, ObjectId } from "mongodb";
import { type RunningService, startService } from "../../src/serve.ts";
import { doctor, type Report } from "../../src/fleet/doctor.ts";
import { createLogger } from "../../src/log.ts";
import { operations } from "../../src/operation/store.ts";
import { organizations } from "../../src/organization/store.ts";
import { ownerOfDatabase, type Tier, tiers } from "../../src/tenant/placement.ts";
import { needs } from "../../src/tenant/place/rights.ts";
import { until } from "../support/crash.ts";
import { makeOperatorKey } from "../support/operator.ts";
import { type Command, refusal, type Rule, startRefusingProxy } from "../support/refusing-proxy.ts";
import { freshDatabaseName, newcomer, send, stopAndDrop, testConfig } from "../support/service.ts";

setDefaultTimeout(60_000);

const proxy = await startRefusingProxy(process.env.MONGODB_URL!);
const databaseName = freshDatabaseName();
const log: string[] = [];
const lines = new Writable({
  write(chunk, _encoding, done) {
    log.push(String(chunk));
    done();
  },
});

/** One database, and a service for each tier that newcomers may be given. */
const services = {} as Record<Tier, RunningService>;
let key = "";
beforeAll(async () => {
  for (const tier of tiers) {
    const config = testConfig({
      MONGODB_URL: proxy.url,
      MONGODB_DB_NAME: databaseName,
      DEFAULT_TIER: tier,
      OPERATION_LEASE_MS: "1000",
    });
    services[tier] = await startService(config, createLogger("info", lines));
    await services[tier].ready;
  }
  key = await makeOperatorKey(services.starter.deps.db);
}, 60_000);
afterEach(() => {
  proxy.answer(null);
});
afterAll(async () => {
  await services.starter.stop();
  await services.professional.stop();
  await stopAndDrop(services.enterprise);
  await proxy.close();
}, 60_000);

type Who = ReturnType<typeof newcomer>;
type Member = Who & { who: Who; id: string; token: string };
const ask = (method: string, path: string, options?: Parameters<typeof send>[3]) =>
  send(services.professional.url, method, path, options);
const create = (tier: Tier, who: Who) => send(services[tier].url, "POST", "/org/create", { body: who });
async function join(tier: Tier): Promise<Member> {
  const who = newcomer(tier);
  const { body } = await create(tier, who);
  const login = await ask("POST", "/admin/login", { body: { email: who.email, password: who.password } });
  const token = login.body.access_token;
  const inserted = await ask("POST", "/org/documents", { token, body: [{ _id: "a" }, { _id: "b" }] });
  expect(inserted.status).toBe(201);
  return { ...who, who, id: body.id, token };
}
const startMove = ({ id }: Member, tier: Tier) =>
  ask("POST", `/platform/organizations/${id}/moves`, { token: key, body: { tier } });
const ended = (location: string) =>
  until("the move to end", async () => {
    const { body } = await ask("GET", location, { token: key });
    return body.status !== "running" && body;
  });
const db = () => services.starter.deps.db;
const tierOf = async ({ id }: Member) =>
  (await organizations(db()).findOne({ _id: new ObjectId(id) }))?.placement?.tier;
const documentsOf = async ({ token }: Member) =>
  (await ask("GET", "/org/documents", { token })).body.documents.map(({ _id }: Document) => _id);
/** The databases of an organization in which there is anything. */
async function databasesOf({ id }: Pick<Member, "id">): Promise<string[]> {
  const { databases } = await db().admin().listDatabases({ nameOnly: true });
  const own = databases.map(({ name }) => name).filter((name) => ownerOfDatabase(databaseName, name) === id);
  const contents = await Promise.all(own.map((name) => db().client.db(name).listCollections().toArray()));
  return own.filter((_, place) => contents[place]!.length > 0);
}
const type = ({ body }: { body: any }) => body.type.replace("urn:croupier:problem:", "");

const elsewhere = ({ database }: Command) => ownerOfDatabase(databaseName, database) !== null;
const refusing =
  (isMeant: (command: Command) => boolean): Rule =>
  (command) =>
    isMeant(command) ? refusal(command) : null;

/** As a real server answers whose user has readWrite on the one database. */
const readWrite =
  "changeStream collStats convertToCapped createCollection createIndex dbHash dbStats dropCollection dropIndex \
find insert killCursors listCollections listIndexes planCacheRead remove renameCollectionSameDB update".split(" ");
const onOne = [{ resource: { db: databaseName, collection: "" }, actions: readWrite }];
const status = (authenticatedUserPrivileges: Document[]) => ({ ok: 1, authInfo: { authenticatedUserPrivileges } });

describe("a user who has rights on one database", () => {
  /** The server lists the privileges, or it doesn't, and what is asked for elsewhere is refused. */
  const kinds: [string, Rule][] = [
    [
      "as the server lists them",
      (command) => (command.name === "connectionStatus" ? status(onOne) : elsewhere(command) ? refusal(command) : null),
    ],
    ["on a server that doesn't list them", refusing(elsewhere)],
  ];

  test.each(kinds)(
    "is refused a new organization in a database of its own at once, and nothing is left (%s)",
    async (_, rule) => {
      const who = newcomer("refused");
      proxy.answer(rule);
      const answer = await create("enterprise", who);
      expect([answer.status, type(answer)]).toEqual([503, "tier_unavailable"]);
      // The name and the email are free.
      expect((await create("professional", who)).status).toBe(201);
      expect(await operations(db()).countDocuments({ open: true })).toBe(0);
    },
  );

  test("is told by the doctor of the rights that a tier in use lacks, and nothing else of its places", async () => {
    const member = await join("enterprise");
    const { deps } = services.professional;
    const found: Report[] = [];
    proxy.answer(kinds[0]![1]);
    await doctor(deps, { repair: true }, (one) => found.push(one));
    const actions = [...needs.enterprise.actions];
    expect(found).toEqual([{ finding: "rights_missing", tier: "enterprise", database: null, actions, mended: null }]);
    proxy.answer(null);
    expect(await doctor(deps, { repair: true }, () => {})).toBe(0);
    expect(await documentsOf(member)).toEqual(["a", "b"]);
  });

  test("is refused a move to such a database up front", async () => {
    const member = await join("professional");
    proxy.answer(kinds[0]![1]);
    const started = await startMove(member, "enterprise");
    expect([started.status, type(started)]).toEqual([503, "tier_unavailable"]);
    expect(await operations(db()).countDocuments({ kind: "move", organization_id: new ObjectId(member.id) })).toBe(0);
  });

  test("has such a move end before anything was copied where the server doesn't list the rights", async () => {
    const member = await join("starter");
    proxy.answer(kinds[1]![1]);
    const started = await startMove(member, "enterprise");
    expect(started.status).toBe(202);
    const end = await ended(started.headers.get("location")!);
    expect(end).toMatchObject({ status: "failed", documents_copied: 0 });
    expect(end.error).toContain("lacks a right");
    expect(await tierOf(member)).toBe("starter");
    expect(await documentsOf(member)).toEqual(["a", "b"]);
    expect((await ask("DELETE", "/org/delete", { token: member.token })).status).toBe(204);
    expect(await operations(db()).countDocuments({ open: true })).toBe(0);
  });

  test("moves organizations between the other two tiers", async () => {
    const member = await join("professional");
    proxy.answer(kinds[0]![1]);
    for (const tier of ["starter", "professional"] as const) {
      const started = await startMove(member, tier);
      expect(await ended(started.headers.get("location")!)).toMatchObject({ status: "succeeded" });
    }
    expect(await documentsOf(member)).toEqual(["a", "b"]);
  });
});

describe("a user who may not drop databases", () => {
  const rule = refusing(({ name }) => name === "dropDatabase");

  test("removes an organization that has one, with all that it has", async () => {
    const member = await join("enterprise");
    await db()
      .client.db((await databasesOf(member))[0]!)
      .collection("more")
      .insertOne({ n: 1 });
    proxy.answer(rule);
    expect((await ask("DELETE", "/org/delete", { token: member.token })).status).toBe(204);
    expect(await databasesOf(member)).toEqual([]);
    expect((await create("professional", member.who)).status).toBe(201);
  });

  test("moves an organization out of one, and cancels a move into one", async () => {
    const member = await join("enterprise");
    proxy.answer(rule);
    const out = await startMove(member, "professional");
    expect(await ended(out.headers.get("location")!)).toMatchObject({ status: "succeeded" });
    expect(await databasesOf(member)).toEqual([]);
    const back = await startMove(member, "enterprise");
    await ask("POST", `${back.headers.get("location")}/cancel`, { token: key });
    const end = await ended(back.headers.get("location")!);
    expect(["cancelled", "succeeded"]).toContain(end.status);
    if (end.status === "cancelled") expect(await databasesOf(member)).toEqual([]);
    expect(await documentsOf(member)).toEqual(["a", "b"]);
  });
});

describe("a right that is taken away while the service runs", () => {
  const content = "content-that-no-log-may-hold";
  type Request = (members: Record<"writer" | "renamed" | "removed", Member>) => ReturnType<typeof ask>;
  const newName = () => newcomer("renamed").organization_name;
  const requests: Record<string, Request> = {
    "create a professional one": () => create("professional", newcomer("new")),
    "create an enterprise one": () => create("enterprise", newcomer("new")),
    "look up": ({ writer }) => ask("GET", `/org/get?organization_name=${writer.organization_name}`),
    "sign in": ({ writer: { email, password } }) => ask("POST", "/admin/login", { body: { email, password } }),
    insert: ({ writer: { token } }) => ask("POST", "/org/documents", { token, body: { secret: content } }),
    "insert many": ({ writer: { token } }) =>
      ask("POST", "/org/documents", { token, body: [{ secret: content }, { secret: content }] }),
    list: ({ writer: { token } }) => ask("GET", `/org/documents?filter={"secret":"${content}"}`, { token }),
    aggregate: ({ writer: { token } }) =>
      ask("POST", "/org/documents/aggregate", { token, body: { pipeline: [{ $match: { secret: content } }] } }),
    patch: ({ writer: { token } }) => ask("PATCH", "/org/documents/a", { token, body: { secret: content } }),
    "delete a document": ({ writer: { token } }) => ask("DELETE", "/org/documents/b", { token }),
    "make an index": ({ writer: { token } }) => ask("POST", "/org/indexes", { token, body: { key: { n: 1 } } }),
    "drop an index": ({ writer: { token } }) => ask("DELETE", "/org/indexes/m_1", { token }),
    rename: ({ renamed: { token } }) => ask("PUT", "/org/update", { token, body: { organization_name: newName() } }),
    remove: ({ removed: { token } }) => ask("DELETE", "/org/delete", { token }),
  };
  const commands = [
    ...["find", "insert", "update", "delete", "findAndModify", "aggregate"],
    ...["create", "drop", "listCollections", "renameCollection", "createIndexes", "dropIndexes", "listIndexes"],
  ];
  const expected = /: (20\d |503 (rights_missing|operation_pending|tier_unavailable|audit_unavailable))$/;

  test.each(commands)("(%s) is told by 503, and by no content in the log; with it all goes on", async (name) => {
    const [writer, renamed, removed] = await Promise.all(["one", "two", "three"].map(() => join("professional")));
    const members = { writer: writer!, renamed: renamed!, removed: removed! };
    await ask("POST", "/org/indexes", { token: writer!.token, body: { key: { m: 1 } } });
    log.length = 0;
    proxy.answer(refusing((command) => command.name === name));
    const answers = await Promise.all(
      Object.entries(requests).map(async ([what, request]) => {
        const answer = await request(members);
        return `${what}: ${answer.status} ${answer.status >= 400 ? type(answer) : ""}`;
      }),
    );
    proxy.answer(null);
    expect(answers.filter((answer) => !expected.test(answer))).toEqual([]);
    // Without a rename the documents stay in the collection that they are in.
    if (name !== "renameCollection") expect(answers.filter((answer) => answer.includes("503"))).not.toEqual([]);
    // What was left open ends by itself.
    await until("all to end", async () => (await operations(db()).countDocuments({ open: true })) === 0);
    expect((await create("professional", newcomer("after"))).status).toBe(201);
    expect(log.join("")).not.toContain(content);
    expect(log.join("")).toMatch(new RegExp(`the database user may not run ${name} on (admin|${databaseName})`));
  });
});
