// Random requests of three tenants, one in each tier, among neighbours who have documents of the same ids. The measure is a
// plain collection that is written by the driver alone. ISOLATION_RUNS sets how many requests are sent.
import { afterAll, beforeAll, expect, test } from "bun:test";
import fc from "fast-check";
import { type Collection, type Document, Int32, ObjectId } from "mongodb";
import { exactBson } from "../../src/lib/bson/bson.ts";
import { parseExtendedJson, printExtendedJson } from "../../src/lib/json/extended-json.ts";
import { isFailure } from "../../src/lib/failure.ts";
import { mergePatch } from "../../src/lib/json/merge-patch.ts";
import { assertStorable, idKey, printPathId } from "../../src/tenant/document.ts";
import { type Placement, tiers } from "../../src/tenant/placement.ts";
import { anyFilter, anyPipeline, anyProjection, anySort, wildFilter } from "../support/any-query.ts";
import { anyDocument, anyId, anyValue, fieldNames } from "../support/bson-values.ts";
import { type Answer, useService } from "../support/service.ts";
import { aggregate, count, createShapes, find, outcome, type Shape } from "../support/tenant-shapes.ts";
import { type Client, joinAs, moveTo } from "../support/tenants.ts";

const requestsMax = Number(process.env.ISOLATION_RUNS ?? 900);
const requestsPerWorld = 20;
const timeout = 60_000 + requestsMax * 100;

const service = useService({ DEFAULT_TIER: "starter" });
let engine: "mongodb" | "ferretdb";
let tenants: (Client & { places: Collection; key: string })[];
let neighbours: Client[];
let oracle: Shape;
let before: string[];
let sent = 0;
const tally: Record<string, number> = {};

/** What travels as Extended JSON: a small long comes out as an int. */
const travelled = <T>(value: T): T => parseExtendedJson(printExtendedJson(value)) as T;
const unique = (documents: Document[]) => [...new Map(documents.map((each) => [idKey(each._id), each])).values()];
const withId = fc.tuple(anyId, anyDocument).map(([_id, rest]): Document => ({ _id, ...rest }));

async function placeOf(id: string) {
  const organization = await service.db.collection("organizations").findOne({ _id: new ObjectId(id) });
  const { database, collection, key }: Placement = organization!.placement;
  return { places: service.db.client.db(database).collection(collection), key };
}

/** All that isn't the three tenants', byte for byte. */
async function strangers(): Promise<string[]> {
  const keys = tenants.map(({ key }) => key);
  const found = await Promise.all(
    tenants.map(({ places }) => places.find({ tenant_id: { $nin: keys } }, { raw: true, sort: { _id: 1 } }).toArray()),
  );
  return found.flat().map((raw) => Buffer.from(raw as unknown as Uint8Array).toString("hex"));
}

beforeAll(async () => {
  const { ferretdb } = await service.db.admin().buildInfo();
  engine = ferretdb ? "ferretdb" : "mongodb";
  oracle = createShapes(service.db, engine).shapes[0];
  neighbours = [await joinAs(service, "next"), await joinAs(service, "beyond")];
  const clients = await Promise.all(tiers.map((tier) => joinAs(service, tier)));
  for (const [index, tier] of tiers.entries()) if (tier !== "starter") await moveTo(service, clients[index]!.id, tier);
  tenants = await Promise.all(clients.map(async (client) => ({ ...client, ...(await placeOf(client.id)) })));
  for (const [index, { ask }] of neighbours.entries()) {
    const documents = unique(fc.sample(withId, { numRuns: 300, seed: index + 1 }));
    expect((await ask("POST", "/documents", printExtendedJson(documents))).status).toBe(201);
  }
  // Late writes to a place that another had before.
  for (const { places } of tenants) {
    const strays = fc.sample(anyDocument, { numRuns: 20, seed: 7 });
    await places.insertMany(
      strays.map(
        (fields, n) =>
          ({ _id: `stray-${n}`, ...fields, tenant_id: neighbours[0]!.id, _croupier: { v: 1, h: ["s"] } }) as Document,
      ),
    );
  }
  before = await strangers();
}, 120_000);

afterAll(() => {
  if (process.env.ISOLATION_RUNS) console.log({ sent, ...tally });
});

/** What an answer says, in the words of `outcome`. */
function heard({ status, body, text }: Answer, read: (value: any) => unknown): string {
  if (status < 300) return JSON.stringify(text === "" ? null : read(parseExtendedJson(text)), null, 1);
  const code = String(body?.type).replace("urn:croupier:problem:", "");
  if (code === "query_refused") return "refused by the server";
  return `refused: ${code} ${body?.errors?.[0]?.pointer}`;
}

type Request = { method: string; path: string; body?: unknown; headers?: Record<string, string> };
const printed = (documents: Document[]) => documents.map((each) => printExtendedJson(each));

/**
 * FerretDB's answers to tests of bits, and to ranges that begin at a decimal NaN, depend on which index it takes; and whether it
 * finds a pattern wrong, on whether it comes to a document that is to be compared with it.
 */
const isComparable = (query: unknown) =>
  engine === "mongodb" ||
  !/"\$bits|"\$(gte?|lte?)":\{"\$numberDecimal":"NaN"\}|"\$regex":"[([]"/.test(printExtendedJson(query));

/** Asks all three tenants and compares each with the measure. */
async function same(
  kind: string,
  request: Request,
  expected: string,
  read: (value: any) => unknown = printExtendedJson,
) {
  if (!isComparable(request.body)) return;
  const body = request.body === undefined ? undefined : printExtendedJson(request.body);
  const answers = await Promise.all(tenants.map(({ ask }) => ask(request.method, request.path, body, request.headers)));
  sent += answers.length;
  for (const [index, answer] of answers.entries()) {
    const got = heard(answer, read);
    if (got === expected) continue;
    throw new Error(
      `${tiers[index]} ${request.method} ${request.path} ${body ?? ""}\n--- measure\n${expected}\n--- ${answer.status}\n${got}`,
    );
  }
  const result = expected.startsWith("refused") ? expected.replace(/ [#?].*| undefined/, "") : "answered";
  tally[`${kind}: ${result}`] = (tally[`${kind}: ${result}`] ?? 0) + 1;
}

/** Every page of a walk by one tenant. */
async function walk(ask: Client["ask"], query: Document): Promise<string> {
  const walked: Document[] = [];
  for (let cursor: unknown; ;) {
    const answer = await ask(
      "POST",
      "/documents/find",
      printExtendedJson({ ...query, ...(cursor != null && { cursor }) }),
    );
    sent++;
    if (answer.status !== 200) return heard(answer, () => null);
    const page = parseExtendedJson(answer.text) as { documents: Document[]; next_cursor: string | null };
    walked.push(...page.documents);
    cursor = page.next_cursor;
    if (cursor === null) return JSON.stringify(printed(walked), null, 1);
  }
}

type Model = Map<string, Document>;
type Step = (model: Model) => Promise<void>;
const pathOf = (id: unknown) => `/documents/${encodeURIComponent(printPathId(id))}`;
const fieldsOf = ({ _id: _, ...fields }: Document) => fields;

const filters = fc.oneof({ weight: 4, arbitrary: anyFilter }, { weight: 1, arbitrary: wildFilter }).map(travelled);
const finds = fc
  .record({ filter: filters, sort: anySort, projection: anyProjection })
  .map(({ filter, sort, projection }): Step => async () => {
    const query = { filter, projection, sort: sort === "" ? "_id" : sort };
    await same(
      "find",
      { method: "POST", path: "/documents/find", body: { ...query, limit: new Int32(1_000) } },
      await outcome(() => find(oracle, query)),
      ({ documents }) => printed(documents),
    );
  });
const pages = fc
  .record({ filter: filters, sort: anySort, limit: fc.integer({ min: 1, max: 7 }) })
  .map(({ filter, sort, limit }): Step => async () => {
    const query = { filter, sort: sort === "" ? "_id" : sort };
    if (!isComparable(query)) return;
    const whole = await outcome(() => find(oracle, query));
    const walks = await Promise.all(tenants.map(({ ask }) => walk(ask, { ...query, limit: new Int32(limit) })));
    expect(new Set(walks).size).toBe(1);
    const kind = walks[0]!.startsWith("refused: unsupported_sort") ? "refused: unsupported_sort" : "answered";
    tally[`walk: ${kind}`] = (tally[`walk: ${kind}`] ?? 0) + 1;
    if (kind === "answered") expect(walks[0]).toBe(whole);
  });
const counts = filters.map(
  (filter): Step =>
    async () =>
      await same(
        "count",
        { method: "POST", path: "/documents/count", body: { filter } },
        await outcome(() => count(oracle, filter)),
        ({ count: number }) => number.value,
      ),
);
/** Neither the order of results nor that of their fields: MongoDB puts an `_id` that a stage makes here or there. */
const inAnyOrder = (document: Document): Document =>
  Object.fromEntries(Object.entries(document).sort(([one], [other]) => (one < other ? -1 : 1)));
const unordered = (documents: Document[]) => printed(documents.map(inAnyOrder)).sort();
const unorderedText = (text: string) =>
  text.startsWith("[")
    ? JSON.stringify(unordered(JSON.parse(text).map((each: string) => parseExtendedJson(each))), null, 1)
    : text;
const pipelines = () =>
  anyPipeline(engine)
    .map(travelled)
    .map((pipeline): Step => async () => {
      await same(
        "aggregate",
        { method: "POST", path: "/documents/aggregate", body: { pipeline } },
        unorderedText(await outcome(() => aggregate(oracle, pipeline))),
        ({ documents }) => unordered(documents),
      );
    });

const anySent = fc
  .oneof(
    { weight: 5, arbitrary: anyDocument },
    {
      weight: 1,
      arbitrary: fc.constantFrom<Document[]>(
        { tenant_id: "x" },
        { _croupier: { v: new Int32(9), h: [] } },
        { $set: { a: new Int32(1) } },
      ),
    },
  )
  .map(travelled);
/** Refused before anything else when it can't be stored. */
const storable = (document: Document) => {
  try {
    assertStorable(document);
    return null;
  } catch (error) {
    if (!isFailure(error)) throw error;
    return `refused: ${error.failure} ${error.errors?.[0]?.pointer}`;
  }
};
const quoted = (document: Document) => JSON.stringify(printExtendedJson(document), null, 1);
const missing = "refused: document_not_found undefined";

const inserts = fc.tuple(anyId.map(travelled), anySent).map(([_id, fields]): Step => async (model) => {
  const document: Document = { _id, ...fields };
  const expected = storable(document) ?? (model.has(idKey(_id)) ? "refused: document_exists #/_id" : quoted(document));
  await same("insert", { method: "POST", path: "/documents", body: document }, expected);
  if (expected.startsWith("refused")) return;
  model.set(idKey(_id), document);
  await oracle.collection.insertOne(document);
});
/** Sets what the measure has for an id; the document keeps the id that it was made with. */
async function keep(model: Model, document: Document) {
  model.set(idKey(document._id), document);
  await oracle.collection.replaceOne({ _id: document._id }, fieldsOf(document));
}
const replaces = fc.tuple(anyId.map(travelled), anySent).map(([id, fields]): Step => async (model) => {
  const current = model.get(idKey(id));
  const made = { _id: current?._id, ...fields };
  const expected = storable(fields) ?? (current ? quoted(made) : missing);
  await same("replace", { method: "PUT", path: pathOf(id), body: fields }, expected);
  if (!expected.startsWith("refused")) await keep(model, made);
});
const anyPatch = fc
  .tuple(fc.constantFrom(...fieldNames), fc.oneof(anyValue, fc.constant(null)))
  .map(([name, value]): Document => ({ [name]: value }));
const patches = fc
  .tuple(
    anyId.map(travelled),
    fc.oneof({ weight: 3, arbitrary: anyPatch.map(travelled) }, { weight: 1, arbitrary: anySent }),
  )
  .map(([id, patch]): Step => async (model) => {
    const current = model.get(idKey(id));
    const made = current && { _id: current._id, ...mergePatch(fieldsOf(current), patch) };
    const expected = storable(patch) ?? (made ? quoted(made) : missing);
    await same("patch", { method: "PATCH", path: pathOf(id), body: patch }, expected);
    if (made && !expected.startsWith("refused")) await keep(model, made);
  });
const removes = anyId.map(travelled).map((id): Step => async (model) => {
  const current = model.get(idKey(id));
  await same("delete", { method: "DELETE", path: pathOf(id) }, current ? "null" : missing);
  model.delete(idKey(id));
  if (current) await oracle.collection.deleteOne({ _id: current._id });
});
const gets = anyId.map(travelled).map((id): Step => async (model) => {
  const current = model.get(idKey(id));
  await same("get", { method: "GET", path: pathOf(id) }, current ? quoted(current) : missing);
});
/** With the ETag of the neighbour's document of the same id. */
const foreign = anyId.map(travelled).map((id): Step => async () => {
  const etag = (await neighbours[0]!.ask("GET", pathOf(id))).headers.get("etag") ?? '"1-AAAAAAAAAAAA"';
  for (const method of ["PUT", "PATCH", "DELETE"]) {
    const request = {
      method,
      path: pathOf(id),
      headers: { "if-match": etag },
      ...(method !== "DELETE" && { body: {} }),
    };
    await same("with another's ETag", request, "refused: precondition_failed undefined");
  }
});

const anyStep = () =>
  fc.oneof(
    { weight: 4, arbitrary: finds },
    { weight: 2, arbitrary: pages },
    { weight: 2, arbitrary: counts },
    { weight: 4, arbitrary: pipelines() },
    { weight: 2, arbitrary: inserts },
    { weight: 2, arbitrary: replaces },
    { weight: 2, arbitrary: patches },
    { weight: 2, arbitrary: removes },
    { weight: 1, arbitrary: gets },
    { weight: 1, arbitrary: foreign },
  );

async function fill(documents: Document[]): Promise<Model> {
  await Promise.all(tenants.map(({ places, key }) => places.deleteMany({ tenant_id: key })));
  await oracle.collection.deleteMany({});
  await oracle.collection.insertMany(documents);
  const answers = await Promise.all(tenants.map(({ ask }) => ask("POST", "/documents", printExtendedJson(documents))));
  expect(answers.map(({ status }) => status)).toEqual([201, 201, 201]);
  return new Map(documents.map((each) => [idKey(each._id), each]));
}

test(
  "whatever a tenant asks for, it has and changes its own documents as if there were no others",
  async () => {
    const world = fc
      .array(withId, { minLength: 1, maxLength: 25 })
      .map((documents) => unique(documents.map(travelled)));
    const steps = fc.array(anyStep(), { minLength: requestsPerWorld, maxLength: requestsPerWorld });
    await fc.assert(
      fc.asyncProperty(world, steps, async (documents, list) => {
        const model = await fill(documents);
        for (const step of list) await step(model);
        // What was refused has changed nothing, and what was not has changed nothing else.
        const stored = await oracle.collection.find({}, { ...exactBson, sort: { _id: 1 } }).toArray();
        const all = { method: "GET", path: "/documents?limit=1000" };
        await same("list", all, JSON.stringify(printed(stored), null, 1), (page) => printed(page.documents));
      }),
      { numRuns: Math.ceil(requestsMax / requestsPerWorld / tenants.length), endOnFailure: true },
    );
    expect(sent).toBeGreaterThan(requestsMax * 0.9);
    expect(await strangers()).toEqual(before);
  },
  timeout,
);
