import { expect, setDefaultTimeout, test } from "bun:test";
import { ObjectId } from "mongodb";
import type { Tier } from "../../src/tenant/placement.ts";
import { until } from "../support/crash.ts";
import { useService } from "../support/service.ts";
import { joinAs, moveTo } from "../support/tenants.ts";

setDefaultTimeout(60_000);
const service = useService({ DEFAULT_TIER: "starter" });
const placementOf = async (id: string) =>
  (await service.db.collection("organizations").findOne({ _id: new ObjectId(id) }))!.placement;
const retired = () => service.db.collection("retired_places");

/** As if the half minute were over in which something may still be on its way. */
const dueNow = (id: string) =>
  retired().updateMany({ organization_id: new ObjectId(id) }, { $set: { due_at: new Date(0) } });

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
