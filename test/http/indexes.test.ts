import { beforeAll, describe, expect, test, setDefaultTimeout } from "bun:test";
import { tenantIndexesMax } from "../../src/tenant/place/indexes.ts";
import { tiers } from "../../src/tenant/placement.ts";
import { expectProblem } from "../support/problem.ts";
import { useService } from "../support/service.ts";
import { type Client, joinAs, moveTo, useTiers } from "../support/tenants.ts";

// Three services, moves, and documents of 16 MB: a busy machine takes its time.
setDefaultTimeout(60_000);
const services = useTiers();
const indexes = "/indexes";

describe.each([...tiers])("indexes in the tier %s", (tier) => {
  let me: Client;
  beforeAll(async () => {
    me = await joinAs(services[tier]);
  });
  const create = (body: object) => me.ask("POST", indexes, body);
  const list = async () => (await me.ask("GET", indexes)).body.indexes;
  const drop = async (name: string) => (await me.ask("DELETE", `${indexes}/${encodeURIComponent(name)}`)).status;
  const insert = (body: unknown) => me.ask("POST", "/documents", body);

  test("are made, listed at once by name, and dropped", async () => {
    expect(await list()).toEqual([]);
    const plain = await create({ key: { color: 1, "size.x": -1 } });
    const expected = { name: "color_1_size.x_-1", key: { color: 1, "size.x": -1 }, unique: false };
    expect({ status: plain.status, body: plain.body }).toEqual({ status: 201, body: expected });
    expect(await list()).toEqual([expected]);
    const named = await create({ key: { b: -1 }, name: "a", unique: true });
    expect(named.body).toEqual({ name: "a", key: { b: -1 }, unique: true });
    expect(await list()).toEqual([named.body, expected]);
    expect((await create({ key: { color: 1, "size.x": -1 } })).status).toBe(201);
    expect(await drop("a")).toBe(204);
    expect(await list()).toEqual([expected]);
    expect(await drop("a")).toBe(404);
    expect(await drop(expected.name)).toBe(204);
    expect(await list()).toEqual([]);
  });

  test("of fields with any name can be made, and dropped by theirs", async () => {
    for (const field of ["é x/y", "%41", "a?b#c", "constructor"]) {
      const { body } = await create({ key: { [field]: 1 } });
      expect(body).toEqual({ name: `${field}_1`, key: { [field]: 1 }, unique: false });
      expect(await drop(body.name)).toBe(204);
    }
  });

  test("of fields with long names can be made, and hold what is there", async () => {
    const other = await joinAs(services[tier]);
    const long = (...names: string[]) =>
      Object.fromEntries(names.map((name) => [name.repeat(1_200 / Buffer.byteLength(name) / names.length), 1]));
    const keys = [long("a", "b", "c", "d"), long("é")];
    const fields = keys.flatMap((key) => Object.keys(key));
    let n = 0;
    for (const key of keys) {
      for (const unique of [false, true]) {
        const made = await other.ask("POST", indexes, { key, name: "long", unique });
        expect({ ...made.body, key: null }).toEqual({ name: "long", key: null, unique });
        n++;
        const document = Object.fromEntries(fields.map((field) => [field, n]));
        expect((await other.ask("POST", "/documents", document)).status).toBe(201);
        expect((await other.ask("DELETE", `${indexes}/long`)).status).toBe(204);
      }
    }
  });

  test("that are unique refuse what is there twice, by whatever way it comes", async () => {
    await create({ key: { user_id: 1 }, unique: true });
    expect(
      (
        await insert([
          { _id: "u1", user_id: 1 },
          { _id: "u2", user_id: 2 },
        ])
      ).status,
    ).toBe(201);
    const violated = (pointers?: string[]) => ({ status: 409, type: "unique_violated", ...(pointers && { pointers }) });
    expectProblem(await insert({ user_id: 1 }), { ...violated(["#"]), path: "/org/documents" });
    const path = "/org/documents/u2";
    expectProblem(await me.ask("PUT", "/documents/u2", { user_id: 1 }), { ...violated(), path });
    expectProblem(await me.ask("PATCH", "/documents/u2", { user_id: 1.0 }), { ...violated(), path });
    const some = await insert([
      { _id: "u3", user_id: 3 },
      { _id: "u4", user_id: 2 },
      { _id: "u1", user_id: 9 },
    ]);
    expectProblem(some, { status: 409, type: "document_exists", path: "/org/documents", pointers: ["#/1", "#/2/_id"] });
    expect(some.body.inserted_ids).toEqual(["u3"]);
    // The value of a document that is gone is free, and one document without it is as good as any.
    expect((await me.ask("DELETE", "/documents/u3")).status).toBe(204);
    expect((await insert({ user_id: 3 })).status).toBe(201);
    expect((await insert({ _id: "without" })).status).toBe(201);
    expect((await insert({})).status).toBe(409);
    // Another organization has its own.
    const other = await joinAs(services[tier]);
    expect((await other.ask("POST", "/documents", [{ user_id: 1 }, { user_id: 1 }])).status).toBe(201);
  });

  test("can't become unique over documents that aren't, and nothing of them stays", async () => {
    const other = await joinAs(services[tier]);
    await other.ask("POST", "/documents", [
      { _id: 1, a: 1 },
      { _id: 2, a: 1 },
    ]);
    const refused = await other.ask("POST", indexes, { key: { a: 1 }, unique: true });
    expectProblem(refused, { status: 409, type: "index_violated", path: "/org/indexes" });
    expect((await other.ask("GET", indexes)).body).toEqual({ indexes: [] });
    await other.ask("DELETE", "/documents/2");
    expect((await other.ask("POST", indexes, { key: { a: 1 }, unique: true })).status).toBe(201);
  });

  test("have a limit, which those who come together keep too", async () => {
    const other = await joinAs(services[tier]);
    const make = (n: number) => other.ask("POST", indexes, { key: { [`f${n}`]: 1 } });
    for (let n = 0; n < tenantIndexesMax - 1; n++) expect((await make(n)).status).toBe(201);
    const statuses = (await Promise.all([20, 21, 22].map(make))).map(({ status }) => status).sort();
    expect(statuses).toEqual([201, 422, 422]);
    expectProblem(await make(30), { status: 422, type: "index_limit", path: "/org/indexes" });
    expect((await other.ask("GET", indexes)).body.indexes).toHaveLength(tenantIndexesMax);
    expect((await make(0)).status).toBe(201);
  }, 60_000);

  test("of two fields never refuse another organization's documents", async () => {
    const [one, other] = [await joinAs(services[tier]), await joinAs(services[tier])];
    const arrays = { x: [1, 2], y: [3, 4] };
    expect((await other.ask("POST", "/documents", arrays)).status).toBe(201);
    expect((await one.ask("POST", indexes, { key: { x: 1, y: 1 } })).status).toBe(201);
    expect((await other.ask("POST", "/documents", arrays)).status).toBe(201);
    // MongoDB has no index with arrays in two fields; FerretDB does.
    const own = await one.ask("POST", "/documents", arrays);
    if (own.status !== 201) {
      expectProblem(own, { status: 409, type: "index_unfit", path: "/org/documents", pointers: ["#"] });
      const unfit = await other.ask("POST", indexes, { key: { x: 1, y: 1 } });
      expectProblem(unfit, { status: 409, type: "index_unfit", path: "/org/indexes" });
    }
  });

  test("come along when the organization is moved", async () => {
    const other = await joinAs(services[tier]);
    await other.ask("POST", "/documents", [
      { _id: 1, a: 1 },
      { _id: 2, a: 2 },
    ]);
    await other.ask("POST", indexes, { key: { a: 1 }, unique: true });
    await other.ask("POST", indexes, { key: { b: 1, _id: -1 }, name: "both" });
    const before = (await other.ask("GET", indexes)).body;
    for (const next of [...tiers.filter((each) => each !== tier), tier]) {
      await moveTo(services[tier], other.id, next);
      expect((await other.ask("GET", indexes)).body).toEqual(before);
      expect((await other.ask("POST", "/documents", { a: 1 })).status).toBe(409);
    }
    expect((await other.ask("DELETE", `${indexes}/a_1`)).status).toBe(204);
    expect((await other.ask("POST", "/documents", { a: 1 })).status).toBe(201);
  }, 120_000);
});

describe("the indexes that an organization may have in the shared collection", () => {
  const service = useService({ DEFAULT_TIER: "starter", STARTER_INDEXES: "" });

  test("are 3, of whichever kind, so that few can't use up what all there have together", async () => {
    const one = await joinAs(service);
    for (const key of [{ a: 1 }, { a: 1, b: 1 }, { c: 1 }]) {
      expect((await one.ask("POST", indexes, { key })).status).toBe(201);
    }
    expectProblem(await one.ask("POST", indexes, { key: { d: 1 } }), {
      status: 422,
      type: "index_limit",
      path: "/org/indexes",
    });
    expect((await one.ask("POST", indexes, { key: { a: 1 } })).status).toBe(201);
    expect((await one.ask("DELETE", `${indexes}/c_1`)).status).toBe(204);
    expect((await one.ask("POST", indexes, { key: { d: 1 } })).status).toBe(201);
  });

  test("keep whoever has more elsewhere from moving there, until it drops some", async () => {
    const one = await joinAs(service);
    await moveTo(service, one.id, "professional");
    for (const name of ["a", "b", "c", "d"]) {
      expect((await one.ask("POST", indexes, { key: { [name]: 1 } })).status).toBe(201);
    }
    await expect(moveTo(service, one.id, "starter")).rejects.toThrow("may have at most 3 indexes");
    expect((await one.ask("DELETE", `${indexes}/d_1`)).status).toBe(204);
    await moveTo(service, one.id, "starter");
    expect((await one.ask("GET", indexes)).body.indexes).toHaveLength(3);
  });
});
