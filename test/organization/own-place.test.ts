import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import type { Db } from "mongodb";
import { type RunningService, startService } from "../../src/serve.ts";
import { createLogger } from "../../src/log.ts";
import { placeKey } from "../../src/tenant/placement.ts";
import { isRetired } from "../../src/tenant/place/retired.ts";
import { newcomer, send, testConfig } from "../support/service.ts";

setDefaultTimeout(60_000);

/** What arrives late right before the collection of an organization of this name is made. */
const late = new Map<string, (db: Db, collection: string) => Promise<unknown>>();
let running: RunningService;
beforeAll(async () => {
  running = await startService(
    testConfig(),
    createLogger("silent"),
    async ({ kind, step, organization_id }, moment) => {
      if (`${kind}/${step}/${moment}` !== "provision/storage/before") return;
      const { db } = running.deps;
      const { placement, organization_name } = (await db
        .collection("organizations")
        .findOne({ _id: organization_id }))!;
      const arrive = late.get(organization_name);
      late.delete(organization_name);
      await arrive?.(db, placement.collection);
    },
  );
  await running.ready;
}, 60_000);
afterAll(async () => {
  await running.deps.db.dropDatabase();
  await running.stop();
}, 60_000);

test.each<[string, (db: Db, collection: string) => Promise<unknown>]>([
  ["an index", (db, collection) => db.collection(collection).createIndex({ email: 1 }, { unique: true })],
  ["a document", (db, collection) => db.collection(collection).insertOne({ tenant_id: "of another" })],
])(
  "a collection that %s made late is no newcomer's place: the create comes again and gets another",
  async (_what, arrive) => {
    const who = newcomer("late");
    late.set(who.organization_name, arrive);
    const create = () => send(running.url, "POST", "/org/create", { body: who });
    expect([(await create()).status, (await create()).status]).toEqual([503, 201]);
    const { db } = running.deps;
    const { placement } = (await db.collection("organizations").findOne({ organization_name: who.organization_name }))!;
    expect(placement.collection).toBe(`org_${who.organization_name}~2`);
    expect((await db.collection(placement.collection).indexes()).map(({ name }) => name).sort()).toEqual([
      "_id_",
      "created_at_1",
    ]);
    const first = { region: "default", database: db.databaseName, collection: `org_${who.organization_name}` };
    expect(placeKey(placement)).not.toBe(placeKey(first));
    expect(await isRetired(db, { ...placement, ...first })).toBe(true);
  },
);
