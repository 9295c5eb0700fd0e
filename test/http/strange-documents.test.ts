import { expect, setDefaultTimeout, test } from "bun:test";
import { type Document, ObjectId } from "mongodb";
import { documentOf, element, elementsOf, textValue } from "../../src/lib/bson/raw-bson.ts";
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
  await store(me, [{ _id: "y", $top: 1 }]);
  expect((await me.ask("PATCH", "/documents/y", { a: 1 })).body).toEqual({ _id: "y", $top: 1, a: 1 });
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
  expect(stopped.error).toContain('the document with the _id {"1":null,"2":null} can\'t be copied as it is');
  // It goes on being used where it is.
  expect((await me.ask("POST", "/documents", { _id: "x" })).status).toBe(201);
});

/** What Extended JSON has for them, where it isn't the bytes that make the difference. */
const shown: Record<string, object> = {
  "a date beyond JavaScript's": { a: { $date: { $numberLong: "9000000000000000000" } } },
  "a date long before": { a: { $date: { $numberLong: "-9000000000000000000" } } },
  "a date before the year 0": { a: { $date: { $numberLong: "-70000000000000" } } },
  "nothing (undefined)": { a: { $undefined: true } },
  "undefined in an array": { a: [{ $undefined: true }, 1] },
  "a DBPointer": { a: { $dbPointer: { $ref: "some.where", $id: { $oid: "07".repeat(12) } } } },
  "a symbol": { a: { $symbol: "x" } },
  "code with a scope": { a: { $code: "x", $scope: { b: 1, c: { d: 2 } } } },
  "an empty Timestamp": { a: { $timestamp: { t: 0, i: 0 } }, b: 1 },
  "text that isn't UTF-8": { a: "a\ufffd\ufffd" },
  "a name twice": { b: 1, c: 2 },
  "a name twice beneath": { a: { b: 1 } },
  _bsontype: { _bsontype: "Int32" },
  "an array with odd names": { a: [1, 2] },
  "an empty name": { "": 1, b: { "": 2 } },
  "names with dots": { "a.b": 1, c: { "d.e": 2 } },
  "a legacy UUID": { a: { $binary: { base64: "AAECAwQFBgcICQoLDA0ODw==", subType: "03" } } },
  decimals: {
    a: { $numberDecimal: "NaN" },
    b: { $numberDecimal: "-0" },
    c: { $numberDecimal: "1.500" },
    d: { $numberDecimal: "NaN" },
  },
};

test.each(["professional", "starter", "enterprise"] as const)(
  "what other clients have stored is shown in %s, and stays byte for byte when another field is patched",
  async (tier) => {
    const me = await joinAs(service);
    await storeOdd(service.db, (await placeOf(me)).collection, me.id);
    if (tier !== "professional") await moveTo(service, me.id, tier);
    const listed = await me.ask("GET", "/documents?limit=1000");
    expect(listed.status).toBe(200);
    const found = await me.ask("POST", "/documents/find", { sort: "other", projection: { tenant: 0 }, limit: 1000 });
    expect(found.status).toBe(200);
    const piped = await me.ask("POST", "/documents/aggregate", { pipeline: [{ $match: { _id: { $ne: 1 } } }] });
    expect(piped.status).toBe(200);
    for (const name of Object.keys(oddFields)) {
      const path = `/documents/${encodeURIComponent(name)}`;
      const before = await me.ask("GET", path);
      expect([name, before.status]).toEqual([name, 200]);
      if (shown[name]) expect(before.body).toEqual({ _id: name, ...shown[name] });
      for (const { documents } of [listed.body, found.body, piped.body]) expect(documents).toContainEqual(before.body);
      const set = await me.ask("PATCH", path, { z: { y: 1 }, extra: [1] });
      expect([name, set.status, set.text]).toEqual([name, 200, (await me.ask("GET", path)).text]);
      expect(set.body).toEqual({ ...before.body, z: { y: 1 }, extra: [1] });
      expect((await me.ask("PATCH", path, { z: { y: null, x: 2 } })).body.z).toEqual({ x: 2 });
      const unset = await me.ask("PATCH", path, { z: null, extra: null });
      expect([name, unset.status, unset.text]).toEqual([name, 200, before.text]);
    }
    const stored = await storedFields(me);
    const changed = Object.entries(oddFields).filter(([id, fields]) => !stored.get(id)?.equals(Buffer.concat(fields)));
    expect(changed.map(([id]) => id)).toEqual([]);
    for (const name of Object.keys(oddFields)) {
      const removed = await me.ask("DELETE", `/documents/${encodeURIComponent(name)}`);
      expect([name, removed.status]).toEqual([name, 204]);
    }
  },
);

test("an empty Timestamp at the top is refused, as the server's time would be stored; beneath it is stored as it is", async () => {
  const me = await joinAs(service);
  const empty = { $timestamp: { t: 0, i: 0 } };
  const kept = { _id: "kept", in: { t: empty }, list: [empty], one: { $timestamp: { t: 0, i: 1 } } };
  expect((await me.ask("POST", "/documents", kept)).body).toEqual(kept);
  expect((await me.ask("GET", "/documents/kept")).body).toEqual(kept);
  const large = "x".repeat(200_000);
  for (const fields of [{ t: empty }, { t: empty, large }])
    for (const [method, at] of [
      ["POST", "/documents"],
      ["PUT", "/documents/kept"],
      ["PATCH", "/documents/kept"],
    ] as const) {
      const answer = await me.ask(method, at, fields);
      expectProblem(answer, { status: 422, type: "invalid_request", path: `/org${at}`, pointers: ["#/t"] });
    }
  expectProblem(await me.ask("POST", "/documents", [{ a: 1 }, { t: empty }]), {
    ...{ status: 422, type: "invalid_request", path: "/org/documents", pointers: ["#/1/t"] },
  });
  expect((await me.ask("GET", "/documents")).body.documents).toEqual([kept]);
});

test("a patch of a name that stands twice is refused, at the top and beneath", async () => {
  const me = await joinAs(service);
  await storeOdd(service.db, (await placeOf(me)).collection, me.id);
  for (const [name, patch, pointer] of [
    ["a name twice", { b: 4 }, "#/b"],
    ["a name twice", { b: null }, "#/b"],
    ["a name twice beneath", { a: { b: 4 } }, "#/a/b"],
  ] as const) {
    const path = `/documents/${encodeURIComponent(name)}`;
    const answer = await me.ask("PATCH", path, patch);
    expectProblem(answer, { status: 422, type: "invalid_request", path: `/org${path}`, pointers: [pointer] });
  }
  expect((await me.ask("PATCH", "/documents/a%20name%20twice", { c: 3 })).body).toEqual({
    _id: "a name twice",
    b: 1,
    c: 3,
  });
});

test("a patch adds and removes by whole objects and paths as RFC 7396 has it, and the answer is what is stored", async () => {
  const me = await joinAs(service);
  const document = { _id: "x", a: { b: { c: 1 }, l: [1, { m: 2 }] }, n: 1, "5": { "7": 1 } };
  expect((await me.ask("POST", "/documents", document)).status).toBe(201);
  for (const patch of [
    { a: { b: { c: null, d: { e: null, f: 1 } }, l: { m: 3 } }, n: { o: 1 } },
    { "5": { "7": null, "6": 2, a: 3 }, "9": 1, "10": { "1": 1 }, zz: 1, ab: { z: 1, a: 2 } },
    { a: { b: { d: 5 } }, n: { o: { p: { q: 1 } } } },
    { a: { b: null, l: null }, e: { z: 1, a: 2 } },
    { a: { z: 1, y: { z: 1, a: 2 } } },
    { a: null, n: null, missing: null, absent: { gone: null } },
    {},
  ]) {
    const patched = await me.ask("PATCH", "/documents/x", patch);
    expect([patched.status, patched.text]).toEqual([200, (await me.ask("GET", "/documents/x")).text]);
  }
});

test.each([
  ["text that isn't UTF-8", element(2, "by", Buffer.from([3, 0, 0, 0, 0x61, 0xff, 0]))],
  ["a late date", element(9, "by", Buffer.alloc(8, 0x7f))],
  [
    "names in another order",
    element(3, "by", documentOf([element(10, "2", Buffer.alloc(0)), element(10, "1", Buffer.alloc(0))])),
  ],
])("a walk by what can't be compared with ends with a reason, not in a circle: %s", async (_, field) => {
  const me = await joinAs(service);
  const own = [element(2, "_id", textValue("x")), element(2, "tenant_id", textValue(me.id))];
  await insertAsIs(service.db, (await placeOf(me)).collection, [documentOf([...own, field])]);
  const answer = await me.ask("POST", "/documents/find", { sort: "by", limit: 1 });
  expectProblem(answer, { status: 422, type: "unsupported_sort", path: "/org/documents/find", pointers: ["#/sort"] });
  expect((await me.ask("POST", "/documents/find", { sort: "by", limit: 2 })).body.documents.length).toBe(1);
});

test("a patch of very many fields costs what its size says, and changes nothing else or is refused", async () => {
  const me = await joinAs(service);
  await storeOdd(service.db, (await placeOf(me)).collection, me.id);
  await me.ask("POST", "/documents", { _id: "plain", a: 1 });
  const many = Object.fromEntries(Array.from({ length: 20_000 }, (_, n) => [`f${n}`, n]));
  const patched = await me.ask("PATCH", "/documents/plain", many);
  expect(patched.body).toEqual({ _id: "plain", a: 1, ...many });
  for (const name of ["a date beyond JavaScript's", "an empty Timestamp", "a name twice", "_bsontype"]) {
    const path = `/documents/${encodeURIComponent(name)}`;
    const refused = await me.ask("PATCH", path, many);
    expectProblem(refused, { status: 422, type: "invalid_request", path: `/org${path}`, pointers: ["#"] });
  }
});
