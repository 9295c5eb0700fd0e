import { type AbstractCursor, type Collection, type Document, type Filter, MongoServerError, type Sort } from "mongodb";
import { exactBson } from "../lib/bson/bson.ts";
import { readBson } from "../lib/bson/bson-reader.ts";
import {
  closeInTime,
  insertParts,
  isDuplicateId,
  isDuplicateKeyOfAny,
  isRefusedDocument,
  isRivalry,
  isUnindexable,
  majority,
  retryDeadlock,
  within,
} from "../lib/mongo/mongo.ts";
import { documentOf, pickFields } from "../lib/bson/raw-bson.ts";
import { createSlice } from "../lib/slices.ts";
import { insertBytes, updateBytes } from "../lib/bson/write-raw.ts";
import { databaseAt, type Deployments } from "./deployments.ts";
import { isShared, type Placement } from "./placement.ts";
import { idKey } from "./document-id.ts";
import { idOrder, type Position, type Walk } from "./id-order.ts";
import type { Direction } from "./query/sort.ts";
import {
  atVersion,
  type FieldChanges,
  idPath,
  isLarge,
  largeBytes,
  largeFields,
  type Meta,
  ofTenant,
  readStored,
  statementOf,
  storedId,
  storedParts,
  type TenantDocument,
  toStored,
  updateParts,
} from "./stored.ts";

/** Why a document can't be written as it is: its id or a unique value is taken, an index can't hold it, or a validator refuses it. */
export type Refusal = "id_taken" | "unique_taken" | "unfit" | "refused";
export type Written = "written" | "changed" | Refusal;

/** Null when it is the database that is to blame. */
const refusalOf = (error: unknown): Refusal | null =>
  isDuplicateId(error)
    ? "id_taken"
    : isDuplicateKeyOfAny(error)
      ? "unique_taken"
      : isUnindexable(error)
        ? "unfit"
        : isRefusedDocument(error)
          ? "refused"
          : null;

/** As many documents as the database sends at once, as BSON: at most 16 MB. `isCut`: there are more within the limit. */
export type Batch = { documents: Uint8Array[]; isCut: boolean };

/** A document, and all of it as it is stored. */
export type FoundDocument = TenantDocument & { bytes: Uint8Array };

/** One tenant's documents at one placement: every statement carries the tenant, and no handle of the collection leaves. */
export type TenantScope = {
  placement: Placement;
  /** Where the tenant's `_id` is stored, for filters and sorts that are made outside. */
  idPath: "_id" | "_id.i";
  find(id: unknown): Promise<FoundDocument | null>;
  /** What Croupier keeps of those documents that are there, by `idKey`. */
  findMetas(ids: readonly unknown[]): Promise<Map<string, Meta>>;
  /** @returns for each document, in order, how it went */
  insert(
    documents: readonly TenantDocument[],
    bytesOf: (document: TenantDocument) => number,
  ): Promise<("written" | Refusal)[]>;
  /** Replaces a document if it is still at this version. */
  replace(document: TenantDocument, before: TenantDocument): Promise<Written>;
  /** Changes nothing but these fields of a document if it is still at this version. */
  change(changes: FieldChanges, meta: Meta, before: TenantDocument): Promise<Written>;
  /** Removes a document if it is still at this version. */
  remove(before: TenantDocument): Promise<Written>;
  /** All documents in the order of `_id`, from a position on, in parts for `list` to be asked one after the other. */
  walk(direction: Direction, after: Position): Walk;
  /** @param projection what goes to the driver, made by `tenant/query` */
  list(query: { filter: Document; sort: Sort; limit: number; projection?: Document }): Promise<Batch>;
  count(filter: Document): Promise<number>;
  /** How many documents there are, and how many bytes of BSON without what is Croupier's: in every tier as many. */
  measure(timeoutMs: number): Promise<{ documents: number; bytes: number }>;
  /** @param pipeline gets the tenant's filter and gives all stages */
  aggregate(pipeline: (ofTenant: Document) => Document[], limit: number): Promise<Batch>;
};

/** The collection of a placement; only for `tenant/`. */
export const collectionAt = (
  deployments: Deployments,
  placement: Pick<Placement, "region" | "database" | "collection">,
): Collection<Document> =>
  databaseAt(deployments, placement).collection<Document>(placement.collection, { ignoreUndefined: true });

const queryTimeoutMs = 10_000;
const metasMax = 2_000;
/** What Croupier adds to a document, about. */
const stampBytes = 200;
/** So many documents are read without a look at the time. */
const piece = 16;

/** What ends a query: a signal, and in the database that it has taken so many milliseconds. FerretDB goes on for a caller who is gone. */
export type Late = { signal: AbortSignal; afterMs: number };

export function openScope(deployments: Deployments, placement: Placement, late?: Late): TenantScope {
  const collection = collectionAt(deployments, placement);
  const tenant = ofTenant(placement);
  const one = (id: unknown): Filter<Document> => ({ _id: storedId(placement, id) as never, ...tenant });
  const all = (filter: Document): Filter<Document> =>
    Object.keys(filter).length === 0 ? tenant : { $and: [tenant, filter] };

  const query = () => ({
    maxTimeMS: Math.min(queryTimeoutMs, late?.afterMs ?? queryTimeoutMs),
    ...majority,
    ...within(queryTimeoutMs, late?.signal),
  });

  /** @throws as the driver does for one and for many */
  const insertSome = async (documents: TenantDocument[]): Promise<void> => {
    const inTime = within(documents.length === 1 ? undefined : queryTimeoutMs);
    if (documents.some(({ fields }) => isLarge(fields))) {
      const stored = documents.map((document) => documentOf(storedParts(placement, document)));
      const refusals = await insertBytes(collection, stored, inTime);
      if (refusals[0]) throw Object.assign(new MongoServerError(refusals[0]), { writeErrors: refusals });
      return;
    }
    const stored = documents.map((document) => toStored(placement, document));
    if (stored.length === 1) await collection.insertOne(stored[0]!, inTime);
    else await collection.insertMany(stored, { ordered: false, ...inTime });
  };

  const guarded = async (write: () => Promise<number>): Promise<Written> => {
    try {
      return (await retryDeadlock(write)) === 1 ? "written" : "changed";
    } catch (error) {
      const refusal = refusalOf(error);
      if (!refusal) throw error;
      return refusal;
    }
  };

  return {
    placement,
    idPath: idPath(placement),
    async find(id) {
      const found = await collection.findOne(one(id), { raw: true, ...majority, ...within() });
      if (!found) return null;
      const bytes = found as unknown as Uint8Array;
      if (bytes.byteLength < largeBytes) return { ...readStored(placement, readBson(bytes)), bytes };
      const known = readStored(placement, readBson(pickFields(bytes, ["_id", "_croupier"])));
      return { ...known, fields: largeFields(bytes), bytes };
    },
    async findMetas(ids) {
      const metas = new Map<string, Meta>();
      for (let start = 0; start < ids.length; start += metasMax) {
        const some = ids.slice(start, start + metasMax).map((id) => storedId(placement, id) as never);
        const options = { projection: { _croupier: 1 }, ...exactBson, ...majority, ...within(queryTimeoutMs) };
        for await (const stored of collection.find({ _id: { $in: some }, ...tenant }, options)) {
          const { id, meta } = readStored(placement, stored);
          metas.set(idKey(id), meta);
        }
      }
      return metas;
    },
    async insert(documents, bytesOf) {
      const outcomes = documents.map((): "written" | Refusal => "written");
      for (const part of insertParts(inTurn(documents), (place) => bytesOf(documents[place]!) + stampBytes)) {
        let places = part;
        await retryDeadlock(async () => {
          try {
            await insertSome(places.map((place) => documents[place]!));
          } catch (error) {
            const rivals: number[] = [];
            for (const { index, cause } of writeErrors(error, places.length)) {
              const refusal = refusalOf(cause);
              if (refusal) outcomes[places[index]!] = refusal;
              else if (isRivalry(cause)) rivals.push(places[index]!);
              else throw error;
            }
            if (rivals.length === 0) return;
            places = rivals;
            throw error;
          }
        });
      }
      return outcomes;
    },
    replace: (document, before) =>
      guarded(async () => {
        const filter = { ...one(before.id), ...atVersion(before.meta) };
        if (isLarge(document.fields))
          return await updateBytes(collection, statementOf(filter, storedParts(placement, document)), within());
        return (await collection.replaceOne(filter, toStored(placement, document), within())).matchedCount;
      }),
    change: ({ set, unset }, meta, before) =>
      guarded(async () => {
        const filter = { ...one(before.id), ...atVersion(before.meta) };
        const own = { tenant_id: placement.key, _croupier: meta };
        const others = unset.length > 0 && { $unset: Object.fromEntries(unset.map((path) => [path, ""])) };
        if (isLarge(set))
          return await updateBytes(collection, statementOf(filter, updateParts(set, own, others || {})), within());
        const update = { $set: { ...set, ...own }, ...others };
        return (await collection.updateOne(filter, update, within())).matchedCount;
      }),
    remove: (before) =>
      guarded(async () => {
        const filter = { ...one(before.id), ...atVersion(before.meta) };
        return (await collection.deleteOne(filter, within())).deletedCount;
      }),
    walk: (direction, after) => idOrder(placement, direction, after),
    list: ({ filter, sort, limit, projection }) =>
      firstBatch(
        collection.find(all(filter), {
          sort,
          limit,
          batchSize: limit,
          ...(projection && { projection }),
          raw: true,
          ...query(),
        }),
        placement.key,
      ),
    count: (filter) => collection.countDocuments(all(filter), query()),
    async measure(timeoutMs) {
      const stages = [
        { $match: tenant },
        ...(isShared(placement) ? [{ $set: { _id: "$_id.i" } }] : []),
        { $unset: ["tenant_id", "_croupier"] },
        { $group: { _id: null, documents: { $sum: 1 }, bytes: { $sum: { $bsonSize: "$$ROOT" } } } },
      ];
      const options = { maxTimeMS: timeoutMs, ...majority, ...within(timeoutMs) };
      const [sums] = await collection.aggregate(stages, options).toArray();
      return { documents: Number(sums?.documents ?? 0), bytes: Number(sums?.bytes ?? 0) };
    },
    aggregate: (pipeline, limit) =>
      firstBatch(
        collection.aggregate([...pipeline(tenant), { $limit: limit }], {
          // MongoDB doesn't look for the end after a batch that is just full.
          batchSize: limit + 1,
          raw: true,
          ...query(),
        }),
        placement.key,
      ),
  };
}

/** Never more than one batch: a thousand documents of 16 MB would be more than the process has memory. */
async function firstBatch(cursor: AbstractCursor<Document>, key: string): Promise<Batch> {
  try {
    const documents: Uint8Array[] = [];
    const slice = createSlice(key);
    for (let more = await cursor.hasNext(); more; more = cursor.bufferedCount() > 0) {
      documents.push(...(cursor.readBufferedDocuments(piece) as unknown as Uint8Array[]));
      await slice();
    }
    return { documents, isCut: cursor.id !== undefined && !cursor.id.isZero() };
  } finally {
    await closeInTime(cursor);
  }
}

/** Their places in one order for all: rivals with the same documents wait for one another, and not each for the other. */
function inTurn(documents: readonly TenantDocument[]): number[] {
  const keys = documents.map(({ id }) => idKey(id));
  return [...keys.keys()].sort((a, b) => (keys[a]! < keys[b]! ? -1 : 1));
}

/** Which of so many documents could not be written, by what the driver throws for one and for many. */
function writeErrors(error: unknown, count: number): { index: number; cause: unknown }[] {
  const bulk = (error as { writeErrors?: { index: number }[] | { index: number } }).writeErrors;
  if (!bulk) {
    // What ended a statement of several says nothing of each.
    if (count === 1 && refusalOf(error)) return [{ index: 0, cause: error }];
    throw error;
  }
  const each = Array.isArray(bulk) ? bulk : [bulk];
  if (each.length === 0) throw error;
  return each.map((cause) => ({ index: cause.index, cause }));
}
