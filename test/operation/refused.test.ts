import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { ObjectId } from "mongodb";
import { insertBytes } from "../../src/lib/bson/write-raw.ts";
import { within } from "../../src/lib/mongo/mongo.ts";
import { documentOf, element } from "../../src/lib/bson/raw-bson.ts";
import { createLogger } from "../../src/log.ts";
import { driveAbandoned, enqueue } from "../../src/operation/drive.ts";
import { findById, findOpen, operations } from "../../src/operation/store.ts";
import { organizations } from "../../src/organization/store.ts";
import { resumeOperation } from "../../src/organization/move.ts";
import { collectionOf } from "../support/fleet.ts";
import { goodPassword } from "../support/service.ts";
import { joinAs, useTiers } from "../support/tenants.ts";

// The machine may be busy with other things.
setDefaultTimeout(60_000);

const services = useTiers();
/** No index of MongoDB can hold both: whether the 0 is a name or a place can't be told. FerretDB can. */
const ambiguous = { a: [{ "0": "planted-content" }] };
const index = { key: { "a.0": 1 } };

describe.each(["starter", "professional"] as const)("an index that the database refuses, in the tier %s,", (tier) => {
  test("is refused to who asks for it, at once, and blocks nothing of the organization", async () => {
    const service = services[tier];
    const me = await joinAs(service);
    expect((await me.ask("POST", "/documents", ambiguous)).status).toBe(201);
    const made = await me.ask("POST", "/indexes", index);
    if (made.status !== 201) {
      expect({ status: made.status, type: made.body.type }).toEqual({
        status: 409,
        type: "urn:croupier:problem:index_unfit",
      });
      const ended = await operations(service.db).findOne({ organization_id: new ObjectId(me.id), kind: "index" });
      expect(ended).toMatchObject({ status: "failed", failure: { code: "index_unfit" } });
      expect(JSON.stringify(ended)).not.toContain("planted-content");
    }
    expect(await findOpen(service.db, new ObjectId(me.id))).toBeNull();
    const renamed = await me.ask("PUT", "/update", { organization_name: `renamed-${tier}` });
    expect(renamed.status).toBe(200);
    expect((await me.ask("DELETE", "/delete")).status).toBe(204);
  });

  test("refuses a document that it can't hold to its own tenant alone", async () => {
    const [me, other] = [await joinAs(services[tier]), await joinAs(services[tier])];
    expect((await me.ask("POST", "/indexes", index)).status).toBe(201);
    for (const body of [ambiguous, [ambiguous, { b: 1 }]]) {
      expect([201, 409]).toContain((await me.ask("POST", "/documents", body)).status);
    }
    const { body } = await me.ask("POST", "/documents", { _id: 1, a: 1 });
    expect([200, 409]).toContain((await me.ask("PATCH", `/documents/${body._id}`, ambiguous)).status);
    expect((await other.ask("POST", "/documents", { _id: 1, ...ambiguous })).status).toBe(201);
    expect((await other.ask("PATCH", "/documents/1", { a: [{ "0": 1 }, { "0": 2 }] })).status).toBe(200);
    expect((await other.ask("DELETE", "/delete")).status).toBe(204);
    expect((await me.ask("DELETE", "/delete")).status).toBe(204);
  });
});

test("a common index that can't be made is no reason for a deletion to fail", async () => {
  const { starter } = services;
  const { db } = starter;
  const [me, other] = [await joinAs(starter), await joinAs(starter)];
  for (const one of [me, other]) expect((await one.ask("POST", "/indexes", { key: { shared: 1 } })).status).toBe(201);
  // The other's is listed, and its place is taken by something that has nothing to do with it.
  await db.collection("tenant_documents").dropIndex("shared~shared_1");
  await db.collection("tenant_documents").createIndex({ foreign: 1 }, { name: "shared~shared_1" });
  expect((await me.ask("DELETE", "/delete")).status).toBe(204);
  await db.collection("tenant_documents").dropIndex("shared~shared_1");
  expect((await other.ask("DELETE", "/delete")).status).toBe(204);
});

test("documents that a foreign validator doesn't let be marked stop it with their number, and nothing else of the organization", async () => {
  const service = services.professional;
  const { db } = service;
  const lines: string[] = [];
  const log = createLogger("info", { write: (line) => void lines.push(line) });
  const deps = { ...service.running.deps, log };
  const me = await joinAs(service);
  const _id = new ObjectId(me.id);
  const { placement } = (await organizations(db).findOne({ _id }))!;
  const plain = collectionOf(db, placement!);
  await plain.insertMany([{ text: "planted-content" }, { text: "planted-content" }, { good: true }]);
  // Neither of these can be asked for by what JavaScript makes of its `_id`: one at the end, one in between.
  const odd = [
    element(9, "_id", Buffer.alloc(8, 0x7f)),
    element(3, "_id", documentOf([element(10, "2", Buffer.alloc(0)), element(10, "1", Buffer.alloc(0))])),
  ];
  const good = element(8, "good", Buffer.from([1]));
  expect(
    await insertBytes(
      db.collection(placement!.collection),
      odd.map((each) => documentOf([each, good])),
      within(),
    ),
  ).toEqual([]);
  await db.command({ collMod: placement!.collection, validator: { good: true }, validationLevel: "strict" });
  const wanted = { _id: new ObjectId(), organization_id: _id, kind: "stamp" as const, input: {} };
  await enqueue(deps, wanted);
  await organizations(db).updateOne({ _id }, { $set: { "placement.unstamped": true } });
  const stop = async () => {
    for (let status = ""; status !== "stopped";) {
      await driveAbandoned(deps, 30_000, undefined, { organization_id: _id });
      status = (await findById(db, wanted._id))!.status;
      if (status !== "stopped") await Bun.sleep(20);
    }
    return (await findById(db, wanted._id))!;
  };
  for (const attempts of [1, 1]) {
    const stopped = await stop();
    expect(stopped).toMatchObject({ step: "mark", attempts, progress: { stamped: 1 } });
    expect(stopped.error!.message).toContain("refuses to mark 4 documents");
    expect(lines.join("") + JSON.stringify(stopped)).not.toContain("planted-content");
    await resumeOperation(deps, wanted._id);
  }
  await stop();
  const changed = await me.ask("PUT", "/update", { password: `${goodPassword}x` });
  expect(changed.status).toBe(200);
  expect((await findById(db, wanted._id))!.status).toBe("cancelled");
  expect((await me.ask("DELETE", "/delete")).status).toBe(204);
});
