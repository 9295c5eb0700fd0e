import { expect, setDefaultTimeout, test } from "bun:test";
import { ObjectId } from "mongodb";
import { heedsCollectionUuid } from "../../src/lib/mongo/collection-uuid.ts";
import { type Placement, placeKey, type Tier } from "../../src/tenant/placement.ts";
import { markerId, markerKey } from "../../src/tenant/copy/stage.ts";
import { until } from "../support/crash.ts";
import { makeOperatorKey } from "../support/operator.ts";
import { useService } from "../support/service.ts";
import { joinAs, moveTo } from "../support/tenants.ts";

setDefaultTimeout(60_000);
const service = useService({ DEFAULT_TIER: "starter", MOVE_DOCUMENTS_PER_SECOND: "20" });
const placementOf = async (id: string) =>
  (await service.db.collection("organizations").findOne({ _id: new ObjectId(id) }))!.placement;
const retired = () => service.db.collection("retired_places");

/** As if the half minute were over in which something may still be on its way. */
const dueNow = (id: string) =>
  retired().updateMany(
    { organization_id: new ObjectId(id), due_at: { $exists: true } },
    { $set: { due_at: new Date(0) } },
  );

test.each(["professional", "enterprise"] satisfies Tier[])(
  "what an overtaken driver makes late beside a place of the tier %s is swept up, and the tenant's documents stay",
  async (tier) => {
    const me = await joinAs(service, tier);
    await me.ask("POST", "/documents", { _id: "mine" });
    await moveTo(service, me.id, tier);
    const { database, collection } = await placementOf(me.id);
    const at = service.db.client.db(database);
    await at.collection(`${collection}~s99`).insertOne({ late: true });
    await dueNow(me.id);
    await until(
      "the stage is gone",
      async () => (await at.listCollections({ name: `${collection}~s99` }).toArray()).length === 0,
    );
    expect((await me.ask("GET", "/documents/mine")).status).toBe(200);
  },
);

test("so is what it makes late in the shared collection under a key of its own", async () => {
  const me = await joinAs(service, "shared");
  const other = await joinAs(service, "other");
  await moveTo(service, me.id, "professional");
  await other.ask("POST", "/documents", { _id: "mine" });
  await me.ask("POST", "/documents", { _id: "mine" });
  await moveTo(service, me.id, "starter");
  const { collection, key, ...live } = await placementOf(me.id);
  const late = `${me.id}.98`;
  const shared = service.db.collection(collection);
  await shared.insertOne({ _id: { t: late, i: "late" } as never, tenant_id: late });
  const stage = { ...live, collection, key: late };
  await retired().updateMany({ organization_id: new ObjectId(me.id) }, { $push: { stages: stage as never } });
  await dueNow(me.id);
  await until("the documents are gone", async () => (await shared.countDocuments({ tenant_id: late })) === 0);
  expect(await shared.countDocuments({ tenant_id: key })).toBe(1);
  for (const { ask } of [me, other]) expect((await ask("GET", "/documents/mine")).status).toBe(200);
});

/** A tenant that was professional and is starter again: its collection is still to be swept. */
const leftCollection = async () => {
  const me = await joinAs(service, "left");
  await moveTo(service, me.id, "professional");
  const left: Placement = await placementOf(me.id);
  await moveTo(service, me.id, "starter");
  return { me, left };
};
const swept = (id: string) =>
  until(
    "the places are swept",
    async () =>
      (await retired().countDocuments({ organization_id: new ObjectId(id), due_at: { $exists: true } })) === 0,
  );
const keysOf = async (id: string): Promise<string[]> =>
  (await service.db.collection("organizations").findOne({ _id: new ObjectId(id) }))!.place_keys;

const remove = async ({ token }: { token: string }) =>
  expect((await service.send("DELETE", "/org/delete", { token })).status).toBe(204);
const rename = async ({ token }: { token: string }, organization_name: string) =>
  expect((await service.send("PUT", "/org/update", { token, body: { organization_name } })).status).toBe(200);
const collectionNames = async () =>
  (await service.db.listCollections({}, { nameOnly: true }).toArray()).map(({ name }) => name);

test("the next organization of a removed one's name gets another collection, whatever arrives late at the first", async () => {
  const { me, left } = await leftCollection();
  await remove(me);
  const next = await joinAs(service, "next");
  await rename(next, left.collection.replace("org_", ""));
  await moveTo(service, next.id, "professional");
  expect((await placementOf(next.id)).collection).toBe(`${left.collection}~2`);
  await service.db.collection(left.collection).insertOne({ tenant_id: me.id });
  await dueNow(me.id);
  await until("what came late is gone", async () => !(await collectionNames()).includes(left.collection));
  expect(await collectionNames()).toContain(`${left.collection}~2`);
});

test("a removed organization's collection that a late write makes again is removed, and looked at until nothing comes", async () => {
  const me = await joinAs(service, "professional");
  await moveTo(service, me.id, "professional");
  const { collection } = await placementOf(me.id);
  await remove(me);
  for (let times = 1; times <= 2; times++) {
    await service.db.collection(collection).insertOne({ tenant_id: me.id });
    await dueNow(me.id);
    await until("it is gone", async () => !(await collectionNames()).includes(collection));
  }
  await dueNow(me.id);
  await swept(me.id);
  expect(await service.db.collection("organizations").countDocuments({ place_keys: placeKey(left(collection)) })).toBe(
    0,
  );
});
const left = (collection: string) => ({ region: "default", database: service.db.databaseName, collection });

test("what arrives late in the shared collection for a removed organization is removed", async () => {
  const me = await joinAs(service, "shared");
  const { key } = await placementOf(me.id);
  await remove(me);
  const shared = service.db.collection("tenant_documents");
  await shared.insertOne({ _id: { t: key, i: 1 } as never, tenant_id: key });
  await dueNow(me.id);
  await until("it is gone", async () => (await shared.countDocuments({ tenant_id: key })) === 0);
});

test("a collection that was left gets its name back when late statements can't hit it, and never on a server that reads over its UUID", async () => {
  const { me, left } = await leftCollection();
  await dueNow(me.id);
  await swept(me.id);
  await moveTo(service, me.id, "professional");
  const again = (await heedsCollectionUuid(service.db)) ? left.collection : `${left.collection}~2`;
  expect((await placementOf(me.id)).collection).toBe(again);
});

test("a place is held by its tenant only, and a name that was left is given to nobody until it is swept, whatever is cancelled meanwhile", async () => {
  const { me, left } = await leftCollection();
  const live = placeKey(await placementOf(me.id));
  for (let n = 0; n < 60; n++) expect((await me.ask("POST", "/documents", { n })).status).toBe(201);
  const token = await makeOperatorKey(service.db);
  const ask = (method: string, path: string, body?: object) =>
    service.send(method, `/platform${path}`, { token, ...(body && { body }) });
  const move = (await ask("POST", `/organizations/${me.id}/moves`, { tier: "enterprise" })).body.id;
  const isIn = async (...phases: string[]) => phases.includes((await ask("GET", `/operations/${move}`)).body.phase);
  await until("it copies", () => isIn("copy"));
  expect((await ask("POST", `/operations/${move}/cancel`)).status).toBe(202);
  await until("it is cancelled", async () => (await ask("GET", `/operations/${move}`)).body.status === "cancelled");
  expect(await keysOf(me.id)).toEqual([live]);
  await moveTo(service, me.id, "professional");
  expect((await placementOf(me.id)).collection).toBe(`${left.collection}~2`);
});

test("stages of the tenant that has the name now are left alone, those of the one that left are not", async () => {
  const { me, left } = await leftCollection();
  const place = (await retired().findOne({ organization_id: new ObjectId(me.id), move_id: { $exists: true } }))!;
  await retired().updateOne({ _id: place._id }, { $set: { stages: [left] } });
  await remove(me);
  const marker = (operation_id: ObjectId) => ({
    _id: markerId,
    operation_id,
    fence: 1,
    checkpoint: { upTo: null, copied: 0 },
    tenant_id: markerKey,
  });
  const next = new ObjectId();
  const stages: [string, object[]][] = [
    ["~s1", [marker(place.move_id), { tenant_id: me.id }]],
    ["~s2", [{ tenant_id: me.id }]],
    ["~s3", [marker(next), { tenant_id: next.toHexString() }]],
    ["~s4", [marker(next)]],
    ["~s5", [{ tenant_id: me.id }, { tenant_id: next.toHexString() }]],
  ];
  for (const [name, documents] of stages) await service.db.collection(left.collection + name).insertMany(documents);
  await dueNow(me.id);
  await swept(me.id);
  const there = await service.db.listCollections({}, { nameOnly: true }).toArray();
  const names = there.map(({ name }) => name).filter((name) => name.startsWith(`${left.collection}~s`));
  expect(names.sort()).toEqual(["~s3", "~s4", "~s5"].map((name) => left.collection + name));
});

test("a collection that somebody has named almost like a stage is left alone by a move to the place beside it", async () => {
  const me = await joinAs(service, "named");
  const organization = await service.db.collection("organizations").findOne({ _id: new ObjectId(me.id) });
  const place = `org_${organization!.organization_name}`;
  const collection = `${place}~summary`;
  await service.db.command({ create: collection });
  await moveTo(service, me.id, "professional");
  expect((await placementOf(me.id)).collection).toBe(place);
  expect(await service.db.listCollections({ name: collection }).toArray()).toHaveLength(1);
});
