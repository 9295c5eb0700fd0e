import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { MongoClient, ObjectId } from "mongodb";
import { createDeps } from "../../src/boot.ts";
import { createClient } from "../../src/lib/mongo/client.ts";
import { prepare } from "../../src/prepare.ts";
import { postDocuments } from "../../src/document/post.ts";
import { getDocument } from "../../src/document/query.ts";
import { isFailure } from "../../src/lib/failure.ts";
import { assertFollowsPrimary, watchPrimary } from "../../src/lib/mongo/primary.ts";
import { createLogger } from "../../src/log.ts";
import { driveAbandoned, enqueue } from "../../src/operation/drive.ts";
import { findById } from "../../src/operation/store.ts";
import { createOrganization } from "../../src/organization/create.ts";
import { dropAll, freshDatabaseName, newcomer, testConfig } from "../support/service.ts";

setDefaultTimeout(60_000);

/** The address of a secondary; null when the database has none, and then there is nothing to see. */
async function findSecondary(): Promise<string | null> {
  const client = new MongoClient(process.env.MONGODB_URL!);
  const { hosts = [], primary } = await client.db("admin").command({ hello: 1 });
  await client.close();
  return hosts.length < 3 ? null : hosts.find((host: string) => host !== primary);
}

const secondary = await findSecondary();
const withOption = (option: string) => {
  const url = process.env.MONGODB_URL!;
  // Of the secondaries one as well as the other, however busy they are.
  return `${url}${url.includes("?") ? "&" : "?"}localThresholdMS=60000&${option}`;
};

describe.skipIf(secondary === null)("with a secondary that lags behind", () => {
  const direct = new MongoClient(`mongodb://${secondary}/?directConnection=true`);
  beforeAll(async () => {
    // It answers, and takes over nothing that is new.
    await direct.db("admin").command({ fsync: 1, lock: true });
  });
  afterAll(async () => {
    await direct.db("admin").command({ fsyncUnlock: 1 });
    await direct.close();
  });

  /** How many of a hundred looks miss what was just acknowledged. */
  async function countMissed(client: MongoClient): Promise<number> {
    const db = client.db(freshDatabaseName());
    let missed = 0;
    for (let n = 0; n < 100; n++) {
      await db.collection("some").insertOne({ n });
      if (!(await db.collection("some").findOne({ n }))) missed++;
    }
    await db.dropDatabase();
    await client.close();
    return missed;
  }

  test.each([
    "readPreference=secondaryPreferred",
    "readPreference=secondary",
    "readPreference=nearest",
    "readPreference=secondaryPreferred&readConcernLevel=available&w=1",
  ])("what is acknowledged is read, though the connection string has %s", async (option) => {
    expect(await countMissed(new MongoClient(withOption(option)))).toBeGreaterThan(0);
    expect(await countMissed(createClient(withOption(option)))).toBe(0);
  });

  test("a move loses nothing that was acknowledged, and no read goes back, though it has readPreference=secondaryPreferred", async () => {
    const settings = { ...testConfig(), mongodbUrl: withOption("readPreference=secondaryPreferred") };
    const deps = await createDeps(settings, createClient(settings.mongodbUrl), createLogger("silent"));
    await prepare(deps);
    await deps.presence.announce();
    const organization_id = new ObjectId((await createOrganization(deps, newcomer())).id);
    const isThere = (id: string) =>
      getDocument(deps, organization_id, id).then(
        () => true,
        (error) => {
          if (isFailure(error) && error.failure === "document_not_found") return false;
          throw error;
        },
      );
    let moved = false;
    const written: string[] = [];
    const missed: string[] = [];
    const writing = (async () => {
      while (!moved || written.length < 100) {
        const _id = `n-${written.length}`;
        await postDocuments(deps, organization_id, { text: "", value: { _id } }, undefined);
        written.push(_id);
        if (!(await isThere(_id))) missed.push(_id);
      }
    })();
    const wanted = { _id: new ObjectId(), organization_id, kind: "move" as const, input: { tier: "enterprise" } };
    await enqueue(deps, wanted);
    while ((await findById(deps.db, wanted._id))!.open) await driveAbandoned(deps, 30_000);
    moved = true;
    await writing;
    for (const id of written) if (!(await isThere(id))) missed.push(id);
    expect(missed).toEqual([]);
    expect((await findById(deps.db, wanted._id))!.status).toBe("succeeded");
    await dropAll(deps.db);
    await deps.close();
  });

  test("a process that is told to use one member of several isn't prepared, as that may be a secondary at any time", async () => {
    for (const host of createClient(process.env.MONGODB_URL!).options.hosts) {
      const client = createClient(`mongodb://${host}/?directConnection=true`);
      await expect(assertFollowsPrimary(client.db("admin"))).rejects.toThrow("directConnection");
      await client.close();
    }
  });

  test("a primary that was named directly and is none any more ends what was read there, and settles nothing", async () => {
    const { primary } = await direct.db("admin").command({ hello: 1 });
    const client = createClient(`mongodb://${primary}/?directConnection=true`);
    const db = client.db(freshDatabaseName());
    const watched = watchPrimary([db]);
    await watched.settled().catch(() => watched.settled());
    const before = watched.generation();
    await client.db("admin").command({ replSetStepDown: 20, secondaryCatchUpPeriodSecs: 10 });
    while (watched.generation() === before) await Bun.sleep(20);
    await expect(watched.settled()).rejects.toMatchObject({ code: 10107 });
    await client.close();
    const following = await createClient(process.env.MONGODB_URL!).connect();
    await following.db(db.databaseName).dropDatabase();
    await following.close();
  });
});
