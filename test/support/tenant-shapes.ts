import type { Collection, Db, Document } from "mongodb";
import { exactBson } from "../../src/lib/bson/bson.ts";
import type { Engine } from "../../src/lib/mongo/engine.ts";
import { printExtendedJson } from "../../src/lib/json/extended-json.ts";
import { isFailure } from "../../src/lib/failure.ts";
import { fromStored, idKey } from "../../src/tenant/document.ts";
import { placeFilter, readFilter } from "../../src/tenant/query/filter.ts";
import {
  afterInTurn,
  arraysFound,
  arraysOn,
  decodeCursor,
  encodeCursor,
  lastKeys,
} from "../../src/tenant/query/page.ts";
import type { IdPath } from "../../src/tenant/query/path.ts";
import { placePipeline, readPipeline } from "../../src/tenant/query/pipeline.ts";
import { placeProjection, readProjection } from "../../src/tenant/query/projection.ts";
import { placeSort, readSort } from "../../src/tenant/query/sort.ts";

/** The documents of one tenant as they are stored in some shape. */
export type Shape = {
  name: string;
  collection: Collection<any>;
  idPath: IdPath;
  own: Document | null;
  /** The measure takes filters as the caller wrote them; but FerretDB has its faults. */
  place: (filter: Document, idPath: IdPath) => Document;
  engine: Engine;
};
export type World = { mine: Document[]; theirs: Document[][] };

export const tenants = ["65f000000000000000000001", "65f000000000000000000002", "65f000000000000000000001.2"];
const stamped = (document: Document, tenant: string): Document => ({
  ...document,
  tenant_id: tenant,
  _croupier: { v: 1, h: [`w-${tenant}`] },
});

/** One tenant's documents three times: the plain collection that is the measure, the shared one, one of its own. */
export function createShapes(db: Db, engine: Engine) {
  const place = (filter: Document, idPath: IdPath) => placeFilter(filter, idPath, engine);
  const collection = (name: string): Collection<any> => db.collection(name, exactBson);
  const own = { tenant_id: tenants[0] };
  const shapes: [Shape, Shape, Shape] = [
    {
      name: "plain",
      collection: collection("plain"),
      idPath: "_id",
      own: null,
      place: engine === "mongodb" ? (filter) => filter : place,
      engine,
    },
    { name: "shared", collection: collection("tenant_documents"), idPath: "_id.i", own, place, engine },
    { name: "alone", collection: collection("org_acme"), idPath: "_id", own, place, engine },
  ];
  const unique = (documents: Document[]) => [...new Map(documents.map((each) => [idKey(each._id), each])).values()];

  async function fill({ mine, theirs }: World): Promise<Document[]> {
    const documents = unique(mine);
    const others = theirs.map(unique);
    const taken = new Set(documents.map(({ _id }) => idKey(_id)));
    const strays = unique(others.flat()).filter(({ _id }) => !taken.has(idKey(_id)));
    const rows: [Shape, Document[]][] = [
      [shapes[0], documents],
      [
        shapes[1],
        [documents, ...others].flatMap((each, index) =>
          each.map(({ _id, ...rest }) => stamped({ _id: { t: tenants[index], i: _id }, ...rest }, tenants[index]!)),
        ),
      ],
      // A late write to a place that another tenant had before.
      [
        shapes[2],
        [...documents.map((each) => stamped(each, tenants[0]!)), ...strays.map((each) => stamped(each, tenants[1]!))],
      ],
    ];
    await Promise.all(
      rows.map(async ([{ collection: target }, stored]) => {
        await target.deleteMany({});
        if (stored.length > 0) await target.insertMany(stored);
      }),
    );
    return documents;
  }
  return { shapes, fill };
}

const limited = (own: Document | null, filter: Document): Document => (own ? { $and: [own, filter] } : filter);
const tenantsOwn = (shape: Shape, stored: Document): Document =>
  shape.own ? fromStored(stored, shape.idPath === "_id.i") : stored;

export type Query = { filter: unknown; sort?: unknown; projection?: unknown };

export async function find(shape: Shape, { filter, sort, projection }: Query): Promise<string[]> {
  const placed = limited(shape.own, shape.place(readFilter(filter), shape.idPath));
  const read = readProjection(projection);
  // The measure takes the projection as the caller wrote it.
  const fields = shape.own ? placeProjection(read).fields : (projection as Document | undefined);
  const cursor = shape.collection.find(placed, fields && { projection: fields });
  if (sort !== undefined) cursor.sort(placeSort(readSort(sort), shape.idPath));
  const found = (await cursor.toArray()).map((stored) => printExtendedJson(tenantsOwn(shape, stored)));
  return sort === undefined ? found.sort() : found;
}

export const count = async (shape: Shape, filter: unknown): Promise<number> =>
  shape.collection.countDocuments(limited(shape.own, shape.place(readFilter(filter), shape.idPath)));

/** Stages whose documents come in no order. */
const unordered = ["$group", "$sortByCount", "$bucketAuto", "$setWindowFields", "$facet"];

export async function aggregate(shape: Shape, pipeline: unknown): Promise<string[]> {
  const read = readPipeline(pipeline);
  const asWritten = () => read.map((stage) => (stage.$match ? { $match: shape.place(stage.$match, "_id") } : stage));
  const placed = shape.own ? placePipeline(read, shape.own, shape.idPath, shape.engine) : asWritten();
  const found = (await shape.collection.aggregate(placed).toArray()).map((each) => printExtendedJson(each));
  return read.some((stage) => unordered.some((name) => name in stage)) ? found.sort() : found;
}

/** Every page of a walk, as the API does it. */
export async function walk(shape: Shape, query: Query, limit: number): Promise<string[]> {
  const filter = readFilter(query.filter);
  const sort = readSort(query.sort);
  const { fields, trim } = placeProjection(readProjection(query.projection), sort);
  const placed = limited(shape.own, shape.place(filter, shape.idPath));
  const ask = (part: Document | null, most: number): Promise<Document[]> =>
    shape.collection
      .find(part ? { $and: [placed, part] } : placed, { projection: fields })
      .sort(placeSort(sort, shape.idPath))
      .limit(most)
      .toArray();

  const walked: string[] = [];
  let cursor: string | null = null;
  for (;;) {
    const keys: unknown[] | null = cursor === null ? null : decodeCursor(cursor, sort, filter);
    const parts = keys === null ? [null] : afterInTurn(sort, keys, shape.idPath);
    const page: Document[] = [];
    for (const part of parts) {
      if (page.length > limit) break;
      page.push(...(await ask(part, limit + 1 - page.length)));
    }
    const documents = page.slice(0, limit).map((stored) => tenantsOwn(shape, stored));
    walked.push(...documents.map((document) => printExtendedJson(trim(document))));
    if (page.length <= limit) {
      const arrays = cursor === null ? null : arraysOn(sort);
      if (arrays && (await shape.collection.findOne({ $and: [placed, arrays] }))) throw arraysFound(sort);
      return walked;
    }
    cursor = encodeCursor(sort, filter, lastKeys(sort, documents));
  }
}

/** What a question came to, as text: the answer, our refusal, or that the server refused. */
export async function outcome(ask: () => Promise<unknown>): Promise<string> {
  try {
    return JSON.stringify(await ask(), null, 1);
  } catch (error) {
    if (isFailure(error)) return `refused: ${error.failure} ${error.errors?.[0]?.pointer}`;
    const { code } = error as { code?: unknown };
    if (code === undefined) throw error;
    return "refused by the server";
  }
}
