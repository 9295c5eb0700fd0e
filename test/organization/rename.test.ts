import { describe, expect, test } from "bun:test";
import { Binary, Decimal128, Long, ObjectId, UUID } from "mongodb";
import { newcomer, useService } from "../support/service.ts";

const service = useService();
const update = (token: string, body: unknown) => service.send("PUT", "/org/update", { token, body });
const collectionOf = (details: string) => service.db.collection(details.replace("Collection: ", ""));

describe("a rename", () => {
  test("takes documents of every type and all indexes along, unchanged", async () => {
    const who = await service.join("whole");
    const old = service.db.collection<any>(`org_${who.organization_name}`);
    await old.insertMany([
      { _id: new ObjectId(), text: "größe \u0000", nested: { list: [1, null, { deep: true }] } },
      { _id: "text id", long: Long.fromString("9007199254740993"), decimal: new Decimal128("0.1") },
      { _id: 42, uuid: new UUID(), bytes: new Binary(Buffer.from([0, 255])), at: new Date(0) },
      { _id: null, "": "no name" },
    ]);
    await old.createIndex({ text: 1 }, { name: "by_text" });
    await old.createIndex({ long: 1, decimal: -1 }, { name: "unique_pair", unique: true, sparse: true });
    const documents = await old.find().sort({ _id: 1 }).toArray();
    const indexes = (await old.indexes()).map(({ ns: _, ...index }) => index);

    const { organization_name } = newcomer("renamed");
    const { body } = await update(who.token, { organization_name });
    expect(body.connection_details).toBe(`Collection: org_${organization_name}`);
    const renamed = collectionOf(body.connection_details);
    expect(await renamed.find().sort({ _id: 1 }).toArray()).toEqual(documents);
    expect((await renamed.indexes()).map(({ ns: _, ...index }) => index)).toEqual(indexes);
    expect(await service.db.listCollections({ name: `org_${who.organization_name}` }).toArray()).toEqual([]);
  });

  test("there and back again brings the documents along, to a place that was never left", async () => {
    const who = await service.join("back");
    await service.db.collection(`org_${who.organization_name}`).insertOne({ kept: 1 });
    await update(who.token, { organization_name: newcomer().organization_name });
    const { body } = await update(who.token, { organization_name: who.organization_name });
    expect(body.connection_details).toBe(`Collection: org_${who.organization_name}~2`);
    expect(await collectionOf(body.connection_details).countDocuments({ kept: 1 })).toBe(1);
    expect(await service.db.listCollections({ name: `org_${who.organization_name}` }).toArray()).toEqual([]);
  });

  test("to a name whose collection holds documents of nobody leaves those alone and says where the data is", async () => {
    const who = await service.join("guest");
    await service.db.collection(`org_${who.organization_name}`).insertOne({ of: "guest" });
    const { organization_name } = newcomer("haunted");
    await service.db.collection(`org_${organization_name}`).insertOne({ of: "nobody" });
    const { status, body } = await update(who.token, { organization_name });
    expect(status).toBe(200);
    expect(body.connection_details).toBe(`Collection: org_${organization_name}~2`);
    expect(await collectionOf(body.connection_details).findOne()).toMatchObject({ of: "guest" });
    expect(await service.db.collection(`org_${organization_name}`).findOne()).toMatchObject({ of: "nobody" });
  });

  test("to a name whose collection is there, though it is empty, leaves that as it is", async () => {
    const who = await service.join("guest");
    await service.db.collection(`org_${who.organization_name}`).insertOne({ of: "guest" });
    const { organization_name } = newcomer("empty");
    await service.db.command({ create: `org_${organization_name}` });
    const uuidThere = async () =>
      (await service.db.listCollections({ name: `org_${organization_name}` }, { nameOnly: false }).toArray())[0]?.info;
    const before = await uuidThere();
    const { body } = await update(who.token, { organization_name });
    expect(body.connection_details).toBe(`Collection: org_${organization_name}~2`);
    expect(await collectionOf(body.connection_details).findOne()).toMatchObject({ of: "guest" });
    expect([await uuidThere(), await service.db.collection(`org_${organization_name}`).countDocuments()]).toEqual([
      before,
      0,
    ]);
  });

  test.each([
    ["empty", false],
    ["with documents", true],
  ])(
    "to the name it has, when its %s collection is not the first of that name, stays where it is",
    async (_what, filled) => {
      const who = newcomer("second");
      await service.db.collection(`org_${who.organization_name}`).insertOne({ of: "nobody" });
      const made = await service.send("POST", "/org/create", { body: who });
      expect(made.body.connection_details).toBe(`Collection: org_${who.organization_name}~2`);
      if (filled) await collectionOf(made.body.connection_details).insertOne({ of: "second" });
      const { body } = await service.send("POST", "/admin/login", {
        body: { email: who.email, password: who.password },
      });
      const token = body.access_token;
      for (const changes of [{ organization_name: who.organization_name }, { email: newcomer().email }]) {
        const answer = await update(token, changes);
        expect([answer.status, answer.body.connection_details]).toEqual([200, made.body.connection_details]);
      }
      expect(await collectionOf(made.body.connection_details).countDocuments()).toBe(filled ? 1 : 0);
    },
  );

  test("of an organization whose collection is gone makes a new one and says so", async () => {
    const who = await service.join("lost");
    await service.db.dropCollection(`org_${who.organization_name}`);
    const { organization_name } = newcomer("found");
    const { status, body } = await update(who.token, { organization_name });
    expect([status, body.connection_details]).toEqual([200, `Collection: org_${organization_name}`]);
    expect(await service.db.listCollections({ name: `org_${organization_name}` }).toArray()).toHaveLength(1);
  });
});
