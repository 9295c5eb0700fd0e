import { beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import fc from "fast-check";
import { ObjectId } from "mongodb";
import { bytesOf } from "../../src/document/patch.ts";
import { printExtendedJson } from "../../src/lib/json/extended-json.ts";
import { documentOf, element, elementsOf, pickFields, textValue } from "../../src/lib/bson/raw-bson.ts";
import type { Placement } from "../../src/tenant/placement.ts";
import { largeBytes } from "../../src/tenant/stored.ts";
import { inLanes } from "../support/attack.ts";
import { anyScalar } from "../support/bson-values.ts";
import { insertAsIs, oddFields } from "../support/odd-documents.ts";
import { type Client, joinAs, useTiers } from "../support/tenants.ts";

// Two tenants are asked the same: the documents of one are those of the other, and a text that makes them large. Whatever is
// done with them on a thread has to come to the same as what is done at once with small ones.

setDefaultTimeout(60_000);
const services = useTiers({ MAX_DOCUMENTS_BYTES: String(2 * 1_048_576) });
const padding = "x".repeat(largeBytes);
const padded = (document: string) => document.replace(/\}$/, `${document === "{}" ? "" : ","}"pad":"${padding}"}`);
const unpadded = (text: string) => text.replaceAll(/,?"pad":"x+"/g, "").replaceAll("{,", "{");

/** But for what is chosen anew for each, and where a text is wrong. */
const comparable = (text: string) =>
  text.replaceAll(/"request_id":"[^"]*"|"next_cursor":"[^"]*"|at character \d+/g, "");

/** A document with values of all types, as JSON without an `_id`. */
const values = fc.sample(anyScalar, { numRuns: 60, seed: 7 });
const fieldsOf = (from: number) =>
  printExtendedJson({
    list: values.slice(from),
    nested: { deep: [{ some: values.slice(from, from + 9) }] },
    "8": 1,
    a: from,
  });

describe.each(["starter", "professional"] as const)("a large document of the tier %s", (tier) => {
  let small: Client;
  let large: Client;
  beforeAll(async () => {
    small = await joinAs(services[tier], "small");
    large = await joinAs(services[tier], "large");
  }, 60_000);

  /** Asks for the same with small and with large documents. @returns the answer, which was the same */
  async function both(method: string, path: string, body?: string, pad = true, headers?: Record<string, string>) {
    const [one, other] = await Promise.all([
      small.ask(method, path, body, headers),
      large.ask(method, path, body !== undefined && pad ? padded(body) : body, headers),
    ]);
    expect({ status: other.status, text: comparable(unpadded(other.text)) }).toEqual({
      status: one.status,
      text: comparable(one.text),
    });
    return one;
  }

  /** The fields of each document but Croupier's own and the padding, as bytes, by its `_id`. */
  async function storedBy({ id }: Client): Promise<Map<string, string>> {
    const { db } = services[tier];
    const { placement } = (await db.collection("organizations").findOne({ _id: new ObjectId(id) }))!;
    const { collection, key } = placement as Placement;
    const found = new Map<string, string>();
    for await (const bytes of db
      .collection(collection)
      .find({ tenant_id: key }, { raw: true }) as AsyncIterable<unknown>) {
      const fields = elementsOf(bytes as Uint8Array);
      const _id = fields.find(({ name }) => name === "_id")!;
      const own = fields.filter(({ name }) => !["_id", "tenant_id", "_croupier", "pad"].includes(name));
      const shown = _id.type === 2 ? _id.value : elementsOf(_id.value).find(({ name }) => name === "i")!.value;
      found.set(Buffer.from(shown).toString("latin1"), Buffer.concat(own.map((each) => each.bytes)).toString("hex"));
    }
    return found;
  }

  async function expectSameStored() {
    const [one, other] = await Promise.all([storedBy(small), storedBy(large)]);
    expect(one.size).toBeGreaterThan(0);
    expect(Object.fromEntries(other)).toEqual(Object.fromEntries(one));
  }

  test("is inserted, replaced, patched and read as a small one is, with values of all types", async () => {
    const path = "/documents/x";
    expect((await both("POST", "/documents", fieldsOf(0).replace("{", '{"_id":"x",'))).status).toBe(201);
    await both("GET", path);
    await expectSameStored();
    expect((await both("PUT", path, fieldsOf(5))).status).toBe(200);
    await expectSameStored();
    // A patch that is small, one that is large, one that brings so much that the document is written as a whole.
    expect(
      (await both("PATCH", path, '{"a":{"$numberLong":"5"},"nested":{"deep":null,"new":[1.5],"8":1}}', false)).status,
    ).toBe(200);
    expect((await both("PATCH", path, fieldsOf(9))).status).toBe(200);
    await expectSameStored();
    expect((await both("PUT", path, '{"a":1}')).status).toBe(200);
    const many = `{${Array.from({ length: 250 }, (_, n) => `"f${n}":${n}`).join()}}`;
    expect((await both("PATCH", path, many, false)).status).toBe(200);
    expect((await both("PATCH", path, '{"nested":{"more":{"b":2,"a":null}}}')).status).toBe(200);
    await expectSameStored();
    await both("GET", path);
    for (const query of [
      {},
      { sort: "-a", projection: { list: 1 } },
      { sort: "a", projection: { list: 0, "nested.new": 0, _id: 0 }, limit: 1 },
      { filter: { a: { $gte: 0 } }, projection: { _id: 1 } },
    ])
      expect((await both("POST", "/documents/find", JSON.stringify(query), false)).body.documents).toHaveLength(1);
    await both("POST", "/documents/aggregate", '{"pipeline":[{"$match":{"_id":"x"}},{"$set":{"b":"$a"}}]}', false);
    expect((await both("DELETE", path)).status).toBe(204);
  });

  test("has all that patches bring which come at the same time", async () => {
    await large.ask("POST", "/documents", padded('{"_id":"hot"}'));
    const names = Array.from({ length: 8 }, (_, n) => `f${n}`);
    const answers = await Promise.all(names.map((name) => large.ask("PATCH", "/documents/hot", { [name]: 1 })));
    expect(answers.map(({ status }) => status)).toEqual(names.map(() => 200));
    const { pad: _, ...found } = (await large.ask("GET", "/documents/hot")).body;
    expect(found).toEqual({ _id: "hot", ...Object.fromEntries(names.map((name) => [name, 1])) });
    await large.ask("DELETE", "/documents/hot");
  });

  test("keeps the id that it has when it is replaced by an equal number of another type", async () => {
    await both("POST", "/documents", '{"_id":5.0}');
    const replaced = await both("PUT", "/documents/5", '{"_id":5,"n":1}');
    expect([replaced.status, replaced.text]).toEqual([200, '{"_id":5.0,"n":1}']);
    await both("DELETE", "/documents/5");
  });

  test("is one of a page, at its place among small ones", async () => {
    for (const n of [1, 2, 3, 4]) await both("POST", "/documents", `{"_id":"p${n}","page":${n}}`, n % 2 === 0);
    const query = { filter: { page: { $gte: 1 } }, sort: "-page", limit: 3 };
    for (const more of [{}, { projection: { page: 1 } }]) {
      const { body } = await both("POST", "/documents/find", JSON.stringify({ ...query, ...more }), false);
      expect(body.documents.map(({ _id }: { _id: string }) => _id)).toEqual(["p4", "p3", "p2"]);
    }
    await both(
      "POST",
      "/documents/aggregate",
      '{"pipeline":[{"$match":{"page":{"$gte":1}}},{"$sort":{"page":1}}]}',
      false,
    );
    for (const n of [1, 2, 3, 4]) await both("DELETE", `/documents/p${n}`);
  });

  test("is refused for what is wrong in it as a small one is, and nothing of it is stored", async () => {
    await both("POST", "/documents", '{"_id":"taken","n":1}');
    const wrong = [
      '{"a":{"$date":"never"}}',
      '{"a":{"b.c":1}}',
      '{"tenant_id":1}',
      '{"a":1,"a":2}',
      '{"a":[1,2}',
      '{"_id":[1]}',
    ];
    for (const body of wrong)
      for (const [method, path] of [
        ["POST", ""],
        ["PUT", "/taken"],
        ["PATCH", "/taken"],
      ] as const)
        expect((await both(method, `/documents${path}`, body)).status).toBe(422);
    expect((await both("PUT", "/documents/taken", '{"_id":"other"}')).status).toBe(422);
    expect((await both("PATCH", "/documents/taken", '{"_id":"other"}')).status).toBe(422);
    expect((await both("PUT", "/documents/none", "{}")).status).toBe(404);
    expect((await both("POST", "/documents", '{"_id":"taken"}')).status).toBe(409);
    expect((await both("PUT", "/documents/taken", "{}", true, { "if-match": '"9-x"' })).status).toBe(412);
    await both("GET", "/documents/taken");
    await expectSameStored();
  });

  test("is one of many, which are inserted once however often they are sent, each by itself", async () => {
    const many = (ids: string[]) => `[${ids.map((id) => `{"_id":"${id}","n":1}`).join()}]`;
    const send = (client: Client, body: string) =>
      client.ask("POST", "/documents", body, { "idempotency-key": "once" });
    const body = many(["m1", "m2", "taken-before"]).replace('"n":1', `"n":1,"pad":"${padding}"`);
    await large.ask("POST", "/documents", '{"_id":"taken-before"}');
    const first = await send(large, body);
    expect([first.status, first.body.inserted_ids, first.body.errors[0].pointer]).toEqual([
      409,
      ["m1", "m2"],
      "#/2/_id",
    ]);
    expect((await large.ask("DELETE", "/documents/m1")).status).toBe(204);
    const again = await send(large, body);
    expect([again.status, again.body.inserted_ids]).toEqual([409, ["m1", "m2"]]);
    expect((await large.ask("GET", "/documents/m1")).status).toBe(404);
    const alone = () => large.ask("POST", "/documents", padded('{"n":1}'), { "idempotency-key": "alone" });
    const [one, other] = [await alone(), await alone()];
    expect([one.status, one.body.n]).toEqual([201, 1]);
    expect([other.status, other.text, other.headers.get("location")]).toEqual([
      201,
      one.text,
      one.headers.get("location"),
    ]);
    expect((await send(large, `${body} `)).body.type).toBe("urn:croupier:problem:idempotency_key_reused");
  });
});

test("a field is found behind fields of every type", () => {
  const last = element(16, "_last", Buffer.from([1, 2, 3, 4]));
  for (const fields of Object.values(oddFields))
    expect(pickFields(documentOf([...fields, last]), ["_first", "_last"]).toString("hex")).toBe(
      documentOf([last]).toString("hex"),
    );
});

test("a document counts with its id and its tenant's fields, of whatever types", () => {
  const [id, tenant] = [element(2, "_id", textValue("x")), element(2, "tenant_id", textValue("t"))];
  const own = element(3, "_croupier", documentOf([element(16, "v", Buffer.from([1, 0, 0, 0]))]));
  for (const fields of Object.values(oddFields))
    for (const stored of [
      [id, ...fields, tenant, own],
      [tenant, id, ...fields],
    ])
      expect(bytesOf({ id: "x", bytes: documentOf(stored) })).toBe(documentOf([id, ...fields]).byteLength);
});

test("what other clients have stored in a large document is read and patched as in a small one", async () => {
  const service = services.professional;
  const clients = [await joinAs(service, "odd"), await joinAs(service, "odd")] as const;
  for (const [index, { id }] of clients.entries()) {
    const { placement } = (await service.db.collection("organizations").findOne({ _id: new ObjectId(id) }))!;
    const pad = index === 0 ? [] : [element(2, "pad", textValue(padding))];
    const documents = Object.entries(oddFields).map(([name, fields]) =>
      documentOf([element(2, "_id", textValue(name)), element(2, "tenant_id", textValue(id)), ...fields, ...pad]),
    );
    await insertAsIs(service.db, placement.collection, documents);
  }
  const wrong: string[] = [];
  const same = async (what: string, method: string, path: string, body?: unknown) => {
    const [one, other] = await Promise.all(clients.map((client) => client.ask(method, path, body)));
    const plain = [one!, other!].map(({ status, text }) => `${status} ${comparable(unpadded(text))}`);
    if (plain[0] !== plain[1]) wrong.push(`${what}: ${plain[1]?.slice(0, 300)} instead of ${plain[0]?.slice(0, 300)}`);
  };
  await inLanes(Object.keys(oddFields), 8, async (name) => {
    const path = `/documents/${encodeURIComponent(JSON.stringify(name))}`;
    const filter = { _id: name };
    await same(name, "GET", path);
    await same(name, "POST", "/documents/find", { filter, sort: "b", projection: { c: 0 } });
    await same(name, "POST", "/documents/find", { filter, sort: "a", projection: { a: 1 }, limit: 1 });
    await same(name, "PATCH", path, { zz: { y: 1 } });
  });
  expect(wrong).toEqual([]);
});
