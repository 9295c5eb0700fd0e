import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import type { Db, Document, MongoClient } from "mongodb";
import { createClient } from "../../src/lib/mongo/client.ts";
import { type RunningService, startService } from "../../src/serve.ts";
import { createLogger } from "../../src/log.ts";
import { type Finding, inspect } from "../../src/takeover/inspect.ts";
import { croupier, linesOf } from "../support/command.ts";
import { deploymentsOf } from "../support/fleet.ts";
import { createLegacyIndexes, dumpBesideStamps, type Legacy, legacyPasswords, plantLegacy } from "../support/legacy.ts";
import { type Answer, freshDatabaseName, goodPassword, newcomer, send, testConfig } from "../support/service.ts";

// The machine may be busy with other things.
setDefaultTimeout(60_000);

const { quick: plain, quickOther: other } = legacyPasswords;

let client: MongoClient;
let db: Db;
let running: RunningService;
let expected: Finding[];
let dumped: string;
const logged: string[] = [];
const planted: Record<string, Legacy> = {};
const hex = (name: string) => planted[name]!.organizationId.toHexString();
const adminHex = (name: string) => planted[name]!.adminId.toHexString();

/** Every damage that is known, in one database, and what is to be said of it. */
async function plantDamage(): Promise<Finding[]> {
  await createLegacyIndexes(db);
  const plant = async (name: string, email: string, fields: Parameters<typeof plantLegacy>[3] = {}) => {
    planted[name] = await plantLegacy(db, name, email, fields);
  };
  await plant("sound", "sound@example.com");
  await plant("no-admin", "nobody@example.com", { admin: null });
  await plant("now-named", "named@example.com", { admin: { organization_name: "once-named" } });
  await plant("other-email", "shown@example.com", { admin: { email: "signs-in@example.com" } });
  await plant("case-older", "Case@Example.com", { createdAt: new Date(1) });
  await plant("case-newer", "CASE@Example.com", { createdAt: new Date(2), hash: other.hash });
  await plant("newline\n", "newline@example.com");
  await plant("LOUD", "loud@example.com");
  await db.collection<Document>("org_orphan").insertOne({ _id: "orphan 1" } as Document);
  await db.createCollection("org_empty-orphan");
  await plant("shares-1", "shares-1@example.com");
  await plant("shares-2", "shares-2@example.com", {
    organization: { connection_details: "Collection: org_shares-1" },
    documents: null,
  });
  await plant("unreadable", "unreadable@example.com", { organization: { connection_details: { uri: 1 } } });
  await plant("no-collection", "no-collection@example.com", { documents: null });
  const { adminId } = await plantLegacy(db, "gone", "left@example.com", { documents: null });
  await db.collection("organizations").deleteOne({ organization_name: "gone" });

  return [
    { finding: "organization_without_admin", organization_id: hex("no-admin") },
    {
      finding: "admin_organization_name_differs",
      admin_id: adminHex("now-named"),
      organization_id: hex("now-named"),
    },
    { finding: "organization_email_differs", organization_id: hex("other-email"), admin_id: adminHex("other-email") },
    { finding: "emails_differ_in_case_only", admin_ids: [adminHex("case-older"), adminHex("case-newer")].sort() },
    { finding: "organization_name_invalid", organization_id: hex("newline\n") },
    { finding: "organization_name_invalid", organization_id: hex("LOUD") },
    { finding: "collection_without_organization", collection: "org_orphan" },
    { finding: "collection_without_organization", collection: "org_empty-orphan" },
    { finding: "organization_without_place", organization_id: hex("shares-1") },
    { finding: "organization_without_place", organization_id: hex("shares-2") },
    { finding: "collection_without_organization", collection: "org_shares-1" },
    { finding: "organization_without_place", organization_id: hex("unreadable") },
    { finding: "collection_without_organization", collection: "org_unreadable" },
    {
      finding: "organization_without_collection",
      organization_id: hex("no-collection"),
      collection: "org_no-collection",
    },
    { finding: "admin_without_organization", admin_id: adminId.toHexString() },
  ];
}

const inOrder = (findings: unknown[]) =>
  findings
    .map((finding) => JSON.stringify(finding))
    .map((line) => {
      const { admin_ids, ...rest } = JSON.parse(line);
      return JSON.stringify({ ...rest, ...(admin_ids && { admin_ids: admin_ids.sort() }) });
    })
    .sort();

async function command(name: string, databaseName: string) {
  const { code: exitCode, out, errors } = await croupier(databaseName, [name], { RATE_LIMIT_STORE: "memory" });
  return { exitCode, errors, lines: linesOf(out) };
}

beforeAll(async () => {
  client = createClient(process.env.MONGODB_URL!);
  db = client.db(freshDatabaseName());
  expected = await plantDamage();
  const log = createLogger("warn", { write: (line) => void logged.push(line) });
  running = await startService(testConfig({ MONGODB_DB_NAME: db.databaseName }), log);
  await running.ready;
  dumped = await dumpBesideStamps(db);
}, 60_000);
afterAll(async () => {
  await running.stop();
  await db.dropDatabase();
  await client.close();
}, 60_000);

const ask = (method: string, path: string, options?: Parameters<typeof send>[3]) =>
  send(running.url, method, path, options);
const signIn = (email: string, password = plain.password) => ask("POST", "/admin/login", { body: { email, password } });
const get = (name: string) => ask("GET", `/org/get?organization_name=${encodeURIComponent(name)}`);
const documentsOf = async (collection: string) =>
  (await db.collection(collection).find().sort({ _id: 1 }).toArray()).map(({ _id }) => String(_id));
const collectionOf = ({ body }: Answer): string => body.connection_details.replace("Collection: ", "");

describe("a damaged database of the first Croupier", () => {
  test("has each damage reported exactly once, and nothing else", async () => {
    const log = createLogger("silent");
    expect(inOrder(await inspect({ db, deployments: deploymentsOf(db), log }))).toEqual(inOrder(expected));
  });

  test("is reported when the service starts, without names and emails", async () => {
    const deadline = performance.now() + 10_000;
    const damages = () => logged.filter((line) => line.includes("damaged record"));
    while (damages().length < expected.length && performance.now() < deadline) await Bun.sleep(20);
    const found = damages().map((line) => {
      const { level: _, time: __, msg: ___, ...finding } = JSON.parse(line);
      return finding;
    });
    expect(inOrder(found)).toEqual(inOrder(expected));
    expect(logged.join("")).not.toContain("@");
  });

  test("is reported by `croupier inspect`, one JSON object a line", async () => {
    const { exitCode, errors, lines } = await command("inspect", db.databaseName);
    expect({ exitCode, errors }).toEqual({ exitCode: 0, errors: "" });
    expect(inOrder(lines)).toEqual(inOrder(expected));
  });

  test("isn't touched by `croupier inspect` before it is taken over, which `croupier take-over` does and counts", async () => {
    const untouched = client.db(freshDatabaseName());
    try {
      await createLegacyIndexes(untouched);
      await plantLegacy(untouched, "one", "one@example.com");
      await plantLegacy(untouched, "two", "two@example.com", { admin: null });
      const before = await dumpBesideStamps(untouched);
      const refused = await command("inspect", untouched.databaseName);
      expect(refused).toMatchObject({ exitCode: 1, lines: [] });
      expect(refused.errors).toContain("run `croupier take-over` first");
      expect(await dumpBesideStamps(untouched)).toBe(before);
      const done = await command("take-over", untouched.databaseName);
      expect(done).toEqual({ exitCode: 0, errors: "", lines: [{ organizations: 2, admins: 1 }] });
      const { lines } = await command("inspect", untouched.databaseName);
      expect(lines).toEqual([{ finding: "organization_without_admin", organization_id: expect.any(String) }]);
    } finally {
      await untouched.dropDatabase();
    }
  });

  test("is not changed by being inspected nor by a second start", async () => {
    const second = await startService(testConfig({ MONGODB_DB_NAME: db.databaseName }), createLogger("silent"));
    await second.ready;
    await inspect(second.deps);
    await second.stop();
    expect(await dumpBesideStamps(db)).toBe(dumped);
  });
});

describe("in a damaged database", () => {
  test("an organization without an admin is found, keeps its documents and its name", async () => {
    expect((await get("no-admin")).body.id).toBe(hex("no-admin"));
    const taken = await ask("POST", "/org/create", { body: { ...newcomer(), organization_name: "no-admin" } });
    expect(taken.status).toBe(400);
    expect(await documentsOf("org_no-admin")).toEqual(["no-admin 1", "no-admin 2"]);
  });

  test("an admin that knows an old name signs in to its organization as it is named now", async () => {
    const signedIn = await signIn("named@example.com");
    expect(signedIn.body).toMatchObject({ organization_id: hex("now-named"), organization_name: "now-named" });
    expect((await get("once-named")).status).toBe(404);
  });

  test("an organization whose email differs is signed in to with its admin's, and nobody owns the other", async () => {
    expect((await signIn("signs-in@example.com")).body.organization_id).toBe(hex("other-email"));
    expect((await signIn("shown@example.com")).status).toBe(401);
    expect((await get("other-email")).body.email).toBe("shown@example.com");
  });

  test("of two emails that differ in case only each signs in with its own spelling and password", async () => {
    expect((await signIn("Case@Example.com", plain.password)).body.organization_id).toBe(hex("case-older"));
    expect((await signIn("CASE@Example.com", other.password)).body.organization_id).toBe(hex("case-newer"));
    expect((await signIn("Case@Example.com", other.password)).status).toBe(401);
    expect((await signIn("CASE@Example.com", plain.password)).status).toBe(401);
    // In any other case the older one is meant.
    expect((await signIn("case@example.com", plain.password)).body.organization_id).toBe(hex("case-older"));
  });

  test.each(["case@example.com", "Case@example.com", "CASE@Example.com", "cASE@EXAMPLE.COM"])(
    "no third email that differs in case only can be created: %s",
    async (email) => {
      const who = newcomer("third");
      const made = await ask("POST", "/org/create", { body: { ...who, email } });
      expect(made.status).toBe(400);
      expect(made.body.type).toBe("urn:croupier:problem:email_taken");
      expect((await get(who.organization_name)).status).toBe(404);
      expect((await db.listCollections({ name: `org_${who.organization_name}` }).toArray()).length).toBe(0);
    },
  );

  test("one of two emails that differ in case only can be changed, and then both sign in", async () => {
    const { body } = await signIn("CASE@Example.com", other.password);
    const changed = await ask("PUT", "/org/update", {
      token: body.access_token,
      body: { email: "no-longer-case@example.com" },
    });
    expect(changed.status).toBe(200);
    expect((await signIn("no-longer-case@example.com", other.password)).status).toBe(200);
    expect((await signIn("CASE@Example.com", other.password)).status).toBe(401);
    expect((await signIn("CASE@Example.com", plain.password)).body.organization_id).toBe(hex("case-older"));
  });

  test.each([
    ["newline\n", "newline@example.com", "newline"],
    ["LOUD", "loud@example.com", "loud"],
  ])("a name that is not valid, %j, can be signed in to and renamed with its documents", async (name, email, clean) => {
    const { body } = await signIn(email);
    expect(body.organization_id).toBe(hex(name));
    const renamed = await ask("PUT", "/org/update", { token: body.access_token, body: { organization_name: clean } });
    expect(renamed.status).toBe(200);
    expect(renamed.body.organization_name).toBe(clean);
    expect(renamed.body.connection_details).toBe(`Collection: org_${clean}`);
    expect(await documentsOf(`org_${clean}`)).toEqual([`${name} 1`, `${name} 2`]);
    expect((await db.listCollections({ name: `org_${name}` }).toArray()).length).toBe(0);
    expect((await get(clean)).body.id).toBe(hex(name));
  });

  test("a new organization doesn't get the documents of a collection that bears its name, and leaves them there", async () => {
    const who = { ...newcomer(), organization_name: "orphan" };
    const made = await ask("POST", "/org/create", { body: who });
    expect(made.status).toBe(201);
    expect(collectionOf(made)).not.toBe("org_orphan");
    expect(await documentsOf(collectionOf(made))).toEqual([]);
    const { body } = await signIn(who.email, who.password);
    // Asked for the name that it has, it stays where it is.
    const same = await ask("PUT", "/org/update", { token: body.access_token, body: { organization_name: "orphan" } });
    expect(same.status).toBe(200);
    expect(collectionOf(same)).toBe(collectionOf(made));
    expect((await ask("DELETE", "/org/delete", { token: body.access_token })).status).toBe(204);
    expect(await documentsOf("org_orphan")).toEqual(["orphan 1"]);
  });

  test("a rename doesn't end in a collection of nobody's documents either", async () => {
    const who = newcomer();
    const made = await ask("POST", "/org/create", { body: who });
    await db.collection<Document>(collectionOf(made)).insertOne({ _id: "own" } as Document);
    const { body } = await signIn(who.email, who.password);
    const renamed = await ask("PUT", "/org/update", {
      token: body.access_token,
      body: { organization_name: "orphan" },
    });
    expect(renamed.status).toBe(200);
    expect(collectionOf(renamed)).not.toBe("org_orphan");
    expect(await documentsOf(collectionOf(renamed))).toEqual(["own"]);
    expect(await documentsOf("org_orphan")).toEqual(["orphan 1"]);
    expect((await ask("DELETE", "/org/delete", { token: body.access_token })).status).toBe(204);
    expect(await documentsOf("org_orphan")).toEqual(["orphan 1"]);
  });

  test("a new organization may have the empty collection that bears its name", async () => {
    const made = await ask("POST", "/org/create", { body: { ...newcomer(), organization_name: "empty-orphan" } });
    expect(made.status).toBe(201);
    expect(await documentsOf(collectionOf(made))).toEqual([]);
  });

  test("a collection that two name is nobody's: both sign in, and neither renames nor deletes its documents", async () => {
    for (const name of ["shares-1", "shares-2"]) {
      const { body } = await signIn(`${name}@example.com`);
      expect(body.organization_id).toBe(hex(name));
      const token = body.access_token;
      const renamed = await ask("PUT", "/org/update", { token, body: { organization_name: `${name}-renamed` } });
      expect(renamed.status).toBe(200);
      expect(await documentsOf("org_shares-1")).toEqual(["shares-1 1", "shares-1 2"]);
      expect((await ask("DELETE", "/org/delete", { token })).status).toBe(204);
      expect(await documentsOf("org_shares-1")).toEqual(["shares-1 1", "shares-1 2"]);
    }
  });

  test("an organization whose connection_details can't be read is signed in to and keeps what it has", async () => {
    expect((await signIn("unreadable@example.com")).body.organization_id).toBe(hex("unreadable"));
    expect((await get("unreadable")).status).toBe(200);
    expect(await documentsOf("org_unreadable")).toEqual(["unreadable 1", "unreadable 2"]);
  });

  test("an organization without its collection is renamed and deleted all the same", async () => {
    const { body } = await signIn("no-collection@example.com");
    const token = body.access_token;
    const renamed = await ask("PUT", "/org/update", { token, body: { organization_name: "has-one" } });
    expect(renamed.status).toBe(200);
    expect((await db.collection("org_has-one").indexes()).map(({ name }) => name)).toContain("created_at_1");
    expect((await ask("DELETE", "/org/delete", { token })).status).toBe(204);
    expect((await get("has-one")).status).toBe(404);
  });

  test("an organization without its collection that is renamed past an empty one has its index, and the other has none", async () => {
    const who = newcomer();
    const made = await ask("POST", "/org/create", { body: who });
    await db.dropCollection(collectionOf(made));
    await db.createCollection("org_stands-empty");
    const { body } = await signIn(who.email, who.password);
    const renamed = await ask("PUT", "/org/update", {
      token: body.access_token,
      body: { organization_name: "stands-empty" },
    });
    expect(renamed.status).toBe(200);
    const indexes = await db.collection(collectionOf(renamed)).indexes();
    expect(indexes.map(({ name }) => name)).toContain("created_at_1");
    expect((await db.collection("org_stands-empty").indexes()).map(({ name }) => name)).toEqual(["_id_"]);
    expect((await ask("DELETE", "/org/delete", { token: body.access_token })).status).toBe(204);
  });

  test("an admin without an organization can't sign in, and its email and its record stay", async () => {
    expect((await signIn("left@example.com")).status).toBe(401);
    const made = await ask("POST", "/org/create", { body: { ...newcomer(), email: "left@example.com" } });
    expect(made.status).toBe(400);
    expect(await db.collection("admin_users").countDocuments({ email: "left@example.com" })).toBe(1);
  });
});

/** A database of its own that is damaged in one way, and a service that starts on it. */
async function onDatabase(
  plant: (db: Db) => Promise<void>,
  use: (url: string, db: Db) => Promise<void>,
): Promise<void> {
  const own = client.db(freshDatabaseName());
  await createLegacyIndexes(own);
  await plant(own);
  const service = await startService(testConfig({ MONGODB_DB_NAME: own.databaseName }), createLogger("silent"));
  try {
    const ready = await Promise.race([service.ready, Bun.sleep(15_000).then(() => "not ready after 15 s")]);
    expect(ready).toBe(true);
    await use(service.url, own);
  } finally {
    await service.stop();
    await own.dropDatabase();
  }
}

describe("what is in doubt stays in doubt", () => {
  test("when a process died that had completed only one of two organizations that name one collection", async () => {
    let ids: Legacy[] = [];
    await onDatabase(
      async (own) => {
        const organization = { connection_details: "Collection: org_both" };
        ids = [
          await plantLegacy(own, "first", "first@example.com", { organization, documents: null }),
          await plantLegacy(own, "second", "second@example.com", { organization, documents: null }),
        ];
        await own.collection<Document>("org_both").insertOne({ _id: "whose?" } as Document);
        const completed = { tier: "professional", region: "default", status: "active", placement: null };
        await own.collection("organizations").updateOne({ _id: ids[0]!.organizationId }, { $set: completed });
      },
      async (url, own) => {
        const second = await own.collection("organizations").findOne({ _id: ids[1]!.organizationId });
        expect(second?.placement).toBeNull();
        const { body } = await send(url, "POST", "/admin/login", {
          body: { email: "second@example.com", password: plain.password },
        });
        const gone = await send(url, "DELETE", "/org/delete", { token: body.access_token });
        expect(gone.status).toBe(204);
        expect(await own.collection("org_both").countDocuments()).toBe(1);
      },
    );
  }, 60_000);

  test("when emails differ in the form of their accents only: each signs in with its own, and the service starts", async () => {
    const composed = "jos\u00e9@example.com";
    const apart = "jose\u0301@example.com";
    await onDatabase(
      async (own) => {
        await plantLegacy(own, "composed", composed, { documents: [] });
        await plantLegacy(own, "apart", apart, { documents: [], hash: other.hash });
      },
      async (url) => {
        const login = (email: string, password: string) =>
          send(url, "POST", "/admin/login", { body: { email, password } });
        expect((await login(composed, plain.password)).body.organization_name).toBe("composed");
        expect((await login(apart, other.password)).body.organization_name).toBe("apart");
        const made = await send(url, "POST", "/org/create", {
          body: { organization_name: "third", email: composed, password: goodPassword },
        });
        expect(made.status).toBe(400);
      },
    );
  }, 60_000);
});
