import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import type { Db, Document, MongoClient } from "mongodb";
import { createClient } from "../../src/lib/mongo/client.ts";
import { type RunningService, startService } from "../../src/serve.ts";
import { createLogger } from "../../src/log.ts";
import { startChild } from "../support/crash.ts";
import { findViolations } from "../support/invariants.ts";
import {
  createLegacyIndexes,
  dumpBesideStamps,
  legacyPasswords,
  legacyRecords,
  plantLegacy,
} from "../support/legacy.ts";
import { freshDatabaseName, send, testConfig } from "../support/service.ts";

// The machine may be busy with other things.
setDefaultTimeout(60_000);

let client: MongoClient;
const used: Db[] = [];
beforeAll(() => {
  client = createClient(process.env.MONGODB_URL!);
});
afterAll(async () => {
  for (const db of used) await db.dropDatabase();
  await client.close();
});

async function legacyDatabase(plant: (db: Db) => Promise<unknown>): Promise<Db> {
  const db = client.db(freshDatabaseName());
  used.push(db);
  await createLegacyIndexes(db);
  await plant(db);
  return db;
}

/** Starts on the database, does something there and stops; @returns how long it took until it was ready, in milliseconds. */
async function serve(db: Db, use: (running: RunningService) => Promise<void> = async () => {}): Promise<number> {
  const startedMs = performance.now();
  const running = await startService(testConfig({ MONGODB_DB_NAME: db.databaseName }), createLogger("silent"));
  try {
    expect(await running.ready).toBe(true);
    const tookMs = performance.now() - startedMs;
    await use(running);
    return tookMs;
  } finally {
    await running.stop();
  }
}

const signIn = async (url: string, email: string, password: string) =>
  await send(url, "POST", "/admin/login", { body: { email, password } });
const get = (url: string, name: string) => send(url, "GET", `/org/get?organization_name=${name}`);

const plantSound = async (db: Db) => {
  await plantLegacy(db, "acme", "Ada@acme.example", {
    hash: legacyPasswords.plain.hash,
    documents: [
      { _id: 1, n: 1 },
      { _id: 2, n: 2 },
    ],
  });
  await plantLegacy(db, "globex", "grace@globex.example", { hash: legacyPasswords.accents.hash, documents: [] });
  await plantLegacy(db, "initech", "linus@initech.example", { hash: legacyPasswords.decomposed.hash });
};

describe("a database of the first Croupier", () => {
  test("works from the first start: its admins sign in with the hashes of Python's bcrypt, and names are found", async () => {
    const db = await legacyDatabase(plantSound);
    await serve(db, async ({ url }) => {
      const signedIn = await signIn(url, "ada@ACME.example", legacyPasswords.plain.password);
      expect(signedIn.status).toBe(200);
      expect(signedIn.body.organization_name).toBe("acme");
      expect((await signIn(url, "grace@globex.example", legacyPasswords.accents.password)).status).toBe(200);
      expect((await signIn(url, "linus@initech.example", legacyPasswords.decomposed.password)).status).toBe(200);
      expect((await signIn(url, "ada@acme.example", legacyPasswords.other.password)).status).toBe(401);
      const found = await get(url, "ACME");
      expect(found.status).toBe(200);
      expect(found.body).toMatchObject({
        id: signedIn.body.organization_id,
        organization_name: "acme",
        email: "Ada@acme.example",
        connection_details: "Collection: org_acme",
        created_at: "2023-05-06T07:08:09.123Z",
        updated_at: null,
        tier: "professional",
        region: "default",
        status: "active",
      });
    });
  });

  test("keeps every field that it had, and loses no document and no index", async () => {
    const db = await legacyDatabase(async (db) => {
      await plantSound(db);
      await db.collection("org_acme").createIndex({ n: -1 }, { name: "theirs" });
      await db.collection("organizations").updateOne({ organization_name: "acme" }, { $set: { note: { kept: [1] } } });
      await db.collection("notes").insertOne({ a: "collection of somebody else" });
    });
    const before = JSON.parse(await dumpBesideStamps(db));
    await serve(db);
    const after = JSON.parse(await dumpBesideStamps(db));
    for (const [name, { indexes, documents }] of Object.entries<Document>(before)) {
      expect(after[name].indexes).toEqual(expect.arrayContaining(indexes));
      expect(after[name].documents).toMatchObject(documents);
      if (name !== "organizations" && name !== "admin_users") expect(after[name]).toEqual({ indexes, documents });
    }
  });

  test("is renamed with its documents and indexes, and deleted with all that it has", async () => {
    const db = await legacyDatabase(async (db) => {
      await plantSound(db);
      await db.collection("org_acme").createIndex({ n: -1 }, { name: "theirs" });
    });
    await serve(db, async ({ url }) => {
      const { body } = await signIn(url, "ada@acme.example", legacyPasswords.plain.password);
      const token = body.access_token;
      const renamed = await send(url, "PUT", "/org/update", { body: { organization_name: "apex" }, token });
      expect(renamed.status).toBe(200);
      expect(renamed.body.connection_details).toBe("Collection: org_apex");
      expect(
        await db
          .collection<Document>("org_apex")
          .find({}, { projection: { n: 1 } })
          .sort({ _id: 1 })
          .toArray(),
      ).toEqual([
        { _id: 1, n: 1 },
        { _id: 2, n: 2 },
      ] as never[]);
      expect((await db.collection("org_apex").indexes()).map(({ name }) => name)).toContain("theirs");
      expect((await get(url, "acme")).status).toBe(404);

      // A second start must not bring the old place back.
      await serve(db, async (second) => {
        expect((await get(second.url, "apex")).body.connection_details).toBe("Collection: org_apex");
      });

      expect((await send(url, "DELETE", "/org/delete", { token })).status).toBe(204);
      expect((await signIn(url, "ada@acme.example", legacyPasswords.plain.password)).status).toBe(401);
      const left = (await db.listCollections({}, { nameOnly: true }).toArray()).map(({ name }) => name);
      expect(left).not.toContain("org_apex");
      expect(left).not.toContain("org_acme");
      expect(await db.collection("organizations").countDocuments()).toBe(2);
      expect(await db.collection("admin_users").countDocuments()).toBe(2);
    });
  });

  test("is left alone by a second start", async () => {
    const db = await legacyDatabase(plantSound);
    await serve(db);
    const after = await dumpBesideStamps(db);
    await serve(db);
    expect(await dumpBesideStamps(db)).toBe(after);
    const violations = await findViolations(db);
    // The first Croupier made no such index, and stamping may not have ended.
    expect(
      violations.filter((violation) => !/no index created_at_1|another's documents|operation stamp/.test(violation)),
    ).toEqual([]);
  });
});

const many = 2_000;
/** Many organizations, two and two of which name one collection, and two and two admins differ in case only. */
function plantMany() {
  const records = Array.from({ length: many }, (_, n) => {
    const half = n % (many / 2);
    const [name, email] =
      half < 10
        ? [`org${n}`, `${n === half ? "Twin" : "TWIN"}${half}@example.com`]
        : [`org${n}`, `admin${n}@example.com`];
    const organization = half < 10 ? { connection_details: `Collection: org_twin${half}` } : {};
    return legacyRecords(name, email, { organization, createdAt: new Date(1_600_000_000_000 + n) });
  });
  return async (db: Db) => {
    await db.collection("organizations").insertMany(records.map(({ organization }) => organization));
    await db.collection("admin_users").insertMany(records.map(({ admin }) => admin!));
  };
}

/** What the take-over must make of them, worked out here and apart from it. */
async function assertCompleted(db: Db): Promise<void> {
  const organizations = await db.collection("organizations").find().sort({ created_at: 1 }).toArray();
  expect(organizations.length).toBe(many);
  const wrong = organizations.filter((organization, n) => {
    const collection = n % (many / 2) < 10 ? null : `org_org${n}`;
    const { placement, place_keys, status, tier, region } = organization;
    const key = `default/${db.databaseName}/${collection}`;
    const sound =
      collection === null
        ? placement === null && place_keys === undefined
        : placement?.collection === collection && placement.epoch === 1 && place_keys?.join() === key;
    return !sound || status !== "active" || tier !== "professional" || region !== "default";
  });
  expect(wrong).toEqual([]);
  const admins = await db.collection("admin_users").find().sort({ created_at: 1 }).toArray();
  expect(admins.length).toBe(many);
  expect(
    admins.filter(({ email, email_keys }, n) => {
      // The older of two is found in any case.
      const key = n % (many / 2) < 10 && n >= many / 2 ? email : email.toLowerCase();
      return email_keys?.join() !== key;
    }),
  ).toEqual([]);
}

describe(`${many} organizations of the first Croupier`, () => {
  const plant = plantMany();

  test("are completed at the first start, and a second one writes nothing", async () => {
    const db = await legacyDatabase(plant);
    const firstMs = await serve(db);
    await assertCompleted(db);
    const after = await dumpBesideStamps(db);
    const secondMs = await serve(db);
    expect(await dumpBesideStamps(db)).toBe(after);
    console.log(`${many} organizations: first start ${firstMs.toFixed(0)} ms, second ${secondMs.toFixed(0)} ms`);
  }, 60_000);

  test("are completed by five processes that start at once exactly as by one", async () => {
    const db = await legacyDatabase(plant);
    const children = await Promise.all(Array.from({ length: 5 }, () => startChild({ databaseName: db.databaseName })));
    try {
      expect(children.map(({ url }) => url !== "")).toEqual([true, true, true, true, true]);
    } finally {
      // Before they have stamped all of it, which is long and not what this is about.
      await Promise.all(children.map((child) => child.end()));
    }
    await assertCompleted(db);
    const alone = await legacyDatabase(plant);
    await serve(alone);
    expect(await dumpBesideStamps(db)).toBe(await dumpBesideStamps(alone));
  }, 180_000);

  test("are completed in the same way when processes are killed in between", async () => {
    const db = await legacyDatabase(plant);
    let killed = 0;
    for (let round = 0; round < 4; round++) {
      const child = await startChild({ databaseName: db.databaseName, killWhen: () => completedPart(db, round) });
      if ((await child.died) === "SIGKILL") killed++;
    }
    expect(killed).toBe(4);
    await serve(db);
    await assertCompleted(db);
  }, 120_000);
});

/** Whether a bit more than `part` batches have been written. */
async function completedPart(db: Db, part: number): Promise<boolean> {
  const organizations = await db.collection("organizations").countDocuments({ status: "active" });
  const admins = await db.collection("admin_users").countDocuments({ email_keys: { $exists: true } });
  return organizations + admins > part * 900;
}
