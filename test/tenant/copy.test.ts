import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { Binary, Decimal128, type Document, Double, Int32, Long, MongoClient, ObjectId, UUID } from "mongodb";
import { insertBytes } from "../../src/lib/bson/write-raw.ts";
import { within } from "../../src/lib/mongo/mongo.ts";
import { documentOf, element, elementsOf } from "../../src/lib/bson/raw-bson.ts";
import { compareBatch, type Compared, compareDocuments } from "../../src/tenant/copy/compare.ts";
import { copyBatch, copyDocuments, findStored } from "../../src/tenant/copy/copy.ts";
import type { Position } from "../../src/tenant/id-order.ts";
import { offerPlace, type Placement, sharedCollection, type Tier, tiers } from "../../src/tenant/placement.ts";
import { toStage } from "../../src/tenant/copy/portable.ts";
import { collectionAt } from "../../src/tenant/scope.ts";
import { createSharedCollection } from "../../src/tenant/place/storage.ts";
import { firstMeta, nextMeta, toStored } from "../../src/tenant/stored.ts";
import { deploymentsOf } from "../support/fleet.ts";
import { oddFields, storeOdd } from "../support/odd-documents.ts";

setDefaultTimeout(60_000);

const client = new MongoClient(process.env.MONGODB_URL!, { writeConcern: { w: "majority" } });
const db = client.db(`croupier_copy_${process.pid}`);
const deployments = deploymentsOf(db);
const organizationId = new ObjectId().toHexString();
const where = { masterDatabase: db.databaseName, organizationId, organizationName: "copied" };
const enterprise = offerPlace("enterprise", where, 1).database;

beforeAll(async () => {
  await db.dropDatabase();
  await createSharedCollection({ home: db });
});
afterAll(async () => {
  await db.dropDatabase();
  await client.db(enterprise).dropDatabase();
  await client.close();
});

const ids: unknown[] = [
  ...Array.from({ length: 15 }, () => new ObjectId()),
  ...Array.from({ length: 15 }, (_, index) => `text ${index}`),
  "$_id",
  "",
  ...[Number.NaN, Number.NEGATIVE_INFINITY, -1.5, 0.5, Number.POSITIVE_INFINITY].map((value) => new Double(value)),
  ...[1, 2, 3].map((value) => new Int32(value)),
  Long.fromString("9007199254740993"),
  Decimal128.fromString("7.25"),
  true,
  false,
  new Date(0),
  new Date(),
  new UUID(),
  new Binary(Buffer.from([1, 2, 3])),
];
const fieldsOf = (index: number): Document => ({
  value: index % 2 === 0 ? new Int32(index) : new Double(index),
  text: "$text",
  nested: { b: [1, { tenant_id: "a", _croupier: 1 }], a: null },
  "9": index,
});

const none = Buffer.alloc(0);
let number = 0;
/** A place that nothing was ever at. */
function placeOf(tier: Tier): Placement {
  const place = offerPlace(tier, where, ++number + 1);
  return tier === "starter"
    ? place
    : {
        ...place,
        database: tier === "enterprise" ? enterprise : place.database,
        collection: `${place.collection}~${number}`,
      };
}

/** Of documents that were changed, some of which an insert made that may be sent again. */
const metaOf = (index: number) =>
  index % 3 === 2 ? nextMeta(firstMeta(`w${index}`, "key.write"), `x${index}`) : { v: index, h: [`w${index}`] };

async function fill(place: Placement): Promise<void> {
  const documents = ids.map((id, index) => toStored(place, { id, fields: fieldsOf(index), meta: metaOf(index) }));
  await collectionAt(deployments, place).insertMany(documents, { ordered: false });
}

async function copyAll(from: Placement, to: Placement, size: number, byHand = false): Promise<number> {
  let at: Position = null;
  for (let copied = 0; ;) {
    const batch = await copyBatch(deployments, from, to, at, { documentsMax: size, byHand }, () => {});
    copied += batch.copied;
    expect(batch.refused).toEqual([]);
    if (batch.next === null) return copied;
    at = batch.next;
  }
}

async function differences(a: Placement, b: Placement): Promise<{ documents: number; differing: unknown[] }> {
  const all = { documents: 0, differing: [] as unknown[] };
  let at: Compared = [null, null];
  for (;;) {
    const batch = await compareBatch(deployments, a, b, at);
    if (!batch) return all;
    expect(batch.at).not.toEqual(at);
    at = batch.at;
    all.documents += batch.documents;
    all.differing.push(...batch.differing);
  }
}

describe("copying a tenant's documents", () => {
  for (const from of tiers) {
    for (const to of tiers.filter((tier) => tier !== from)) {
      test.each([5, 1_000])(`from ${from} to ${to}: ids of all types, %i at a time`, async (size) => {
        const [source, stage] = [placeOf(from), placeOf(to)];
        await fill(source);
        expect(await copyAll(source, stage, size)).toBe(ids.length);
        const { documents, differing } = await differences(source, stage);
        expect({ documents, differing }).toEqual({ documents: ids.length, differing: [] });
        const one = await collectionAt(deployments, stage).findOne({ "_croupier.h": "w3", tenant_id: stage.key });
        expect(one).toEqual({
          ...fieldsOf(3),
          _id: expect.anything(),
          value: 3,
          tenant_id: stage.key,
          _croupier: { v: 3, h: ["w3"] },
        });
      });
    }
  }

  test("by hand it comes to the same", async () => {
    const [source, stage] = [placeOf("starter"), placeOf("professional")];
    await fill(source);
    expect(await copyAll(source, stage, 30, true)).toBe(ids.length);
    expect((await differences(source, stage)).differing).toEqual([]);
  });

  test("what an interrupted batch left is brought to what it is now", async () => {
    const [source, stage] = [placeOf("professional"), placeOf("enterprise")];
    await fill(source);
    const old = ids
      .slice(8, 23)
      .map((id) => toStored(stage, { id, fields: { old: true }, meta: { v: 1, h: ["old"] } }));
    await collectionAt(deployments, stage).insertMany(old);
    await copyAll(source, stage, 25);
    expect((await differences(source, stage)).differing).toEqual([]);
  });

  test("what a unique index of the other side refuses is named", async () => {
    const [source, stage] = [placeOf("professional"), placeOf("enterprise")];
    await collectionAt(deployments, stage).createIndex({ value: 1 }, { unique: true });
    const [a, b, c] = [new ObjectId(), new ObjectId(), new ObjectId()];
    const stored = (id: unknown, value: number) =>
      toStored(source, { id, fields: { value }, meta: { v: 1, h: ["a"] } });
    await collectionAt(deployments, source).insertMany([stored(a, 1), stored(b, 1), stored(c, 2)]);
    const batch = await copyBatch(deployments, source, stage, null, { documentsMax: 100, byHand: false }, () => {});
    expect(batch).toEqual({ next: { id: c }, copied: 3, refused: [b], isSlow: false });
    expect((await differences(source, stage)).differing).toEqual([b]);
  });

  test("documents of the first Croupier get their tenant and version", async () => {
    const source: Placement = { ...placeOf("professional"), unstamped: true };
    const stage = placeOf("starter");
    const id = new ObjectId();
    await collectionAt(deployments, source).insertOne({ _id: id, "a.b": 1, z: 2, a: 3 } as Document);
    await copyAll(source, stage, 10);
    expect((await differences(source, stage)).differing).toEqual([]);
    const found = await db.collection(sharedCollection).findOne({ tenant_id: stage.key });
    expect(found).toMatchObject({ _id: { t: stage.key, i: id }, _croupier: { v: 0, h: [] } });
  });

  test.each(["starter", "enterprise"] satisfies Tier[])(
    "what JavaScript can't hold as another client has stored it comes to %s byte for byte, in whichever way",
    async (to) => {
      const source: Placement = { ...placeOf("professional"), unstamped: true };
      const stage = placeOf(to);
      const stored = await storeOdd(db.client.db(source.database), source.collection, null);
      const all = [...stored.keys()];
      await copyAll(source, stage, 10, true);
      expect(await differences(source, stage)).toMatchObject({ documents: all.length, differing: [] });
      // Over what is there, as in a move that goes on after an interruption, and one by one, as when they were written to.
      await copyAll(source, stage, 10, true);
      expect(await copyDocuments(deployments, source, stage, all, () => {})).toEqual([]);
      expect(await differences(source, stage)).toMatchObject({ documents: all.length, differing: [] });
      expect(await compareDocuments(deployments, source, stage, all)).toEqual([]);
      // A comparison might overlook it as the copy did.
      for await (const batch of findStored(deployments, stage, all)) {
        for (const bytes of batch) {
          const { id } = toStage(stage, source, bytes);
          const fields = elementsOf(bytes).filter(({ name }) => !["_id", "tenant_id", "_croupier"].includes(name));
          expect([id, Buffer.concat(fields.map((field) => field.bytes))]).toEqual([
            id,
            Buffer.concat(oddFields[id as string]!),
          ]);
        }
      }
    },
  );

  test.each([
    ["text that isn't UTF-8", element(2, "_id", Buffer.from([2, 0, 0, 0, 0xff, 0]))],
    ["names in another order", element(3, "_id", documentOf([element(10, "2", none), element(10, "1", none)]))],
    ["a name twice", element(3, "_id", documentOf([element(10, "a", none), element(10, "a", none)]))],
    ["a late date", element(9, "_id", Buffer.alloc(8, 0x7f))],
  ])("an _id that can't be carried ends the copying and is named: %s", async (_, id) => {
    const source: Placement = { ...placeOf("professional"), unstamped: true };
    await insertBytes(collectionAt(deployments, source), [documentOf([id, element(10, "a", none)])], within());
    await collectionAt(deployments, source).insertMany([{ _id: "A" }, { _id: "B" }] as never[]);
    for (const byHand of [true, false]) {
      const copied = copyBatch(
        deployments,
        source,
        placeOf("enterprise"),
        null,
        { documentsMax: 10, byHand },
        () => {},
      );
      const error = await copied.catch((thrown) => thrown);
      expect(error).toMatchObject({ stops: true, shown: expect.stringContaining("the _id ") });
      expect(error.message).not.toContain("_id");
    }
  });

  test("another's documents beside are left alone", async () => {
    const [source, other, stage] = [placeOf("starter"), placeOf("starter"), placeOf("professional")];
    await fill(source);
    await fill({ ...other, key: `${source.key}0` });
    expect(await copyAll(source, stage, 30)).toBe(ids.length);
    expect(await collectionAt(deployments, stage).countDocuments()).toBe(ids.length);
  });

  test("a comparison finds what differs by type, by order, or is on one side only", async () => {
    const [a, b] = [placeOf("professional"), placeOf("starter")];
    await fill(a);
    await copyAll(a, b, 100);
    const change = async (index: number, fields: Document) =>
      await collectionAt(deployments, a).replaceOne(
        { _id: ids[index] as never },
        toStored(a, { id: ids[index], fields, meta: metaOf(index) }),
      );
    await change(0, { ...fieldsOf(0), value: new Double(0) });
    await change(1, { text: "$text", ...fieldsOf(1), value: new Double(1) });
    await collectionAt(deployments, a).deleteOne({ _id: ids[2] as never });
    await collectionAt(deployments, b).deleteOne({ tenant_id: b.key, "_id.i": ids[20] as never });
    const { differing } = await differences(a, b);
    expect(differing.map(String).sort()).toEqual([0, 1, 2, 20].map((index) => String(ids[index])).sort());
  });

  const texts = (from: number, to: number) =>
    Array.from({ length: to - from }, (_, n) => `id ${String(from + n).padStart(6, "0")}`);
  const sorted = (some: unknown[]) => some.map(String).sort();
  const put = async (at: Placement, some: unknown[], value = 1) => {
    const documents = some.map((id) => toStored(at, { id, fields: { value }, meta: { v: 1, h: ["a"] } }));
    await collectionAt(deployments, at).insertMany(documents);
  };

  test.each([
    ["professional", "starter"],
    ["starter", "enterprise"],
  ] satisfies [Tier, Tier][])(
    "from %s to %s it says what is on one side only, be it more than is read at once, and nothing else",
    async (from, to) => {
      const [a, b] = [placeOf(from), placeOf(to)];
      const both = [...texts(3_000, 3_010), ...texts(9_000, 9_900)];
      const [onlyA, onlyB] = [texts(0, 3_000), texts(5_000, 7_500)];
      const [lateA, lateB] = [texts(9_900, 9_950), texts(9_950, 12_100)];
      await put(a, [...both, ...onlyA, ...lateA]);
      await put(b, [...both, ...onlyB, ...lateB]);
      for (const [one, other] of [
        [a, b],
        [b, a],
      ] as const) {
        const { differing } = await differences(one, other);
        expect(sorted(differing)).toEqual(sorted([...onlyA, ...onlyB, ...lateA, ...lateB]));
      }
    },
  );

  test("what is read at once is a few megabytes, of documents that are named too", async () => {
    const [source, stage] = [placeOf("professional"), placeOf("enterprise")];
    const some = texts(0, 20);
    const text = "x".repeat(1024 * 1024);
    for (const id of some) {
      await collectionAt(deployments, source).insertOne(
        toStored(source, { id, fields: { text }, meta: { v: 1, h: ["a"] } }),
      );
    }
    for await (const batch of findStored(deployments, source, some)) expect(batch.length).toBeLessThan(6);
    expect(await copyDocuments(deployments, source, stage, some, () => {})).toEqual([]);
    expect(await compareDocuments(deployments, source, stage, some)).toEqual([]);
    expect(await differences(source, stage)).toEqual({ documents: 20, differing: [] });
  });
});
