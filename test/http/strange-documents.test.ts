import { expect, setDefaultTimeout, test } from "bun:test";
import { type Document, ObjectId } from "mongodb";
import { documentOf, element, elementsOf, textValue } from "../../src/lib/raw-bson.ts";
import type { Placement } from "../../src/tenant/placement.ts";
import { insertAsIs, oddFields, storeOdd } from "../support/odd-documents.ts";
import { expectProblem } from "../support/problem.ts";
import { useService } from "../support/service.ts";
import { type Client, joinAs, moveTo } from "../support/tenants.ts";

setDefaultTimeout(60_000);
const service = useService({ DEFAULT_TIER: "professional" });

/** Stores documents as other clients of the database may have done, the first Croupier among them. */
async function store(client: Client, documents: Document[]): Promise<void> {
  const organization = await service.db.collection("organizations").findOne({ _id: new ObjectId(client.id) });
  const stored = documents.map((document) => ({ ...document, tenant_id: client.id }));
  // With it the driver leaves an `_id` of null alone.
  const options = { forceServerObjectId: true };
  await service.db.collection(organization!.placement.collection).insertMany(stored, options);
}

test("documents with an _id of any type are listed to their end, a page at a time, wherever they are", async () => {
  const me = await joinAs(service);
  const ids = [null, 5, "x", { a: 1 }, { a: 2, b: { c: "y" } }, { a: "z" }, new ObjectId(), true];
  await store(
    me,
    ids.map((_id, n) => ({ _id, n, same: 1 })),
  );
  const walk = async (query: object) => {
    const walked: number[] = [];
    let cursor: string | null = null;
    do {
      const { body, text } = await me.ask("POST", "/documents/find", { ...query, limit: 1, cursor });
      if (!body.documents) throw new Error(text);
      walked.push(...body.documents.map(({ n }: { n: number }) => n));
      cursor = body.next_cursor;
    } while (cursor);
    return walked;
  };
  const upwards = ids.map((_, n) => n);
  for (const tier of ["", "starter", "enterprise", "starter", "professional", "enterprise", "professional"] as const) {
    if (tier !== "") await moveTo(service, me.id, tier);
    expect(await walk({})).toEqual(upwards);
    expect(await walk({ sort: "-_id" })).toEqual(upwards.toReversed());
    expect(await walk({ sort: "same" })).toEqual(upwards);
    expect(await walk({ sort: "same,-_id", filter: { n: { $gte: 0 } } })).toEqual(upwards.toReversed());
  }
});

test("a patch leaves names alone that no caller may store, and brings none", async () => {
  const me = await joinAs(service);
  const stored = { "a.b": 1, deep: { "c.d": [{ "": 2 }], $e: 3, kept: 4 }, tail: 5 };
  await store(me, [{ _id: "x", ...stored }]);
  const patched = await me.ask("PATCH", "/documents/x", { deep: { kept: null, f: 6 }, tail: { g: 7 } });
  expect(patched.status).toBe(200);
  const expected = { _id: "x", "a.b": 1, deep: { "c.d": [{ "": 2 }], $e: 3, f: 6 }, tail: { g: 7 } };
  expect(patched.body).toEqual(expected);
  for (const patch of [{ "a.b": 2 }, { deep: { "c.d": null } }, { deep: { $e: 4 } }, { deep: { $e: null } }]) {
    expect((await me.ask("PATCH", "/documents/x", patch)).status).toBe(422);
  }
  expect((await me.ask("GET", "/documents/x")).body).toEqual(expected);
  // The database itself doesn't take such a name in a replacement.
  await store(me, [{ _id: "y", $top: 1 }]);
  const refused = await me.ask("PATCH", "/documents/y", { a: 1 });
  expectProblem(refused, {
    status: 422,
    type: "invalid_request",
    path: "/org/documents/y",
    pointers: ["#/$top"],
  });
});

const placeOf = async ({ id }: Client): Promise<Placement> => {
  const organization = await service.db.collection("organizations").findOne({ _id: new ObjectId(id) });
  return organization!.placement;
};

/** The fields of each document but Croupier's own, as bytes, by its `_id`. */
async function storedFields(client: Client): Promise<Map<string, Buffer>> {
  const { database, collection, key } = await placeOf(client);
  const all = service.db.client.db(database).collection(collection);
  const found = new Map<string, Buffer>();
  for await (const bytes of all.find({ tenant_id: key }, { raw: true }) as AsyncIterable<unknown>) {
    const fields = elementsOf(bytes as Uint8Array);
    const _id = fields.find(({ name }) => name === "_id")!;
    const id = _id.type === 2 ? _id : elementsOf(_id.value).find(({ name }) => name === "i")!;
    const own = fields.filter(({ name }) => !["_id", "tenant_id", "_croupier"].includes(name));
    found.set(
      Buffer.from(id.value).toString("utf8", 4, id.value.length - 1),
      Buffer.concat(own.map((each) => each.bytes)),
    );
  }
  return found;
}

test("a move carries what other clients have stored byte for byte, through all tiers", async () => {
  const me = await joinAs(service);
  const { collection } = await placeOf(me);
  await storeOdd(service.db, collection, me.id);
  const expected = new Map(Object.entries(oddFields).map(([id, fields]) => [id, Buffer.concat(fields)]));
  const differing = async () => {
    const found = await storedFields(me);
    return [...expected].filter(([id, bytes]) => !found.get(id)?.equals(bytes)).map(([id]) => id);
  };
  expect(await differing()).toEqual([]);
  for (const tier of ["starter", "enterprise", "professional"] as const) {
    await moveTo(service, me.id, tier);
    expect({ tier, differing: await differing() }).toEqual({ tier, differing: [] });
  }
});

test("a move that can't carry a document stops, and says which one and why", async () => {
  const me = await joinAs(service);
  const { collection } = await placeOf(me);
  const odd = element(3, "_id", documentOf([element(10, "2", Buffer.alloc(0)), element(10, "1", Buffer.alloc(0))]));
  await insertAsIs(service.db, collection, [documentOf([odd, element(2, "tenant_id", textValue(me.id))])]);
  const stopped = await moveTo(service, me.id, "enterprise").catch((error: Error) => JSON.parse(error.message));
  expect(stopped).toMatchObject({ status: "stopped", phase: "copy" });
  expect(stopped.error).toContain('the document with the _id {"1":null,"2":null} can\'t be carried as it is');
  // It goes on being used where it is.
  expect((await me.ask("POST", "/documents", { _id: "x" })).status).toBe(201);
});
