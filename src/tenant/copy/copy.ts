import { type AnyBulkWriteOperation, type Document, MongoServerError, ObjectId, Timestamp } from "mongodb";
import { insertBytes } from "../../lib/bson/write-raw.ts";
import {
  closeInTime,
  durable,
  hasErrorCode,
  isDuplicateKeyOfAny,
  isRefusedAlways,
  isUnavailable,
  majority,
  within,
} from "../../lib/mongo/mongo.ts";
import { elementsOf } from "../../lib/bson/raw-bson.ts";
import type { Deployments } from "../deployments.ts";
import { idOrder, type Position } from "../id-order.ts";
import { isShared, type Placement } from "../placement.ts";
import { exactId, type Portable, toStage, uncarried } from "./portable.ts";
import { collectionAt } from "../scope.ts";
import { idPath, ofTenant, storedId } from "../stored.ts";

/**
 * What passes through this process: so many documents and bytes at the most, so that neither memory nor a lease runs out and
 * requests don't wait for long while it is decoded and encoded.
 */
const batchDocumentsMax = 1_000;
const batchBytesMax = 4 * 1024 * 1024;
/** So many documents are read without a look at their size. */
const piece = 50;
/** What the server copies by itself takes no memory here. */
const serverBatchBytesMax = 8 * 1024 * 1024;
const statementMs = 30_000;
const mergeMsMax = 2_000;

/** The next stored documents after a position, as bytes, in the order of `_id`, exact for ids of all types; none at the end. */
export async function readBatch(
  deployments: Deployments,
  placement: Placement,
  after: Position,
  documentsMax = batchDocumentsMax,
): Promise<Uint8Array[]> {
  const { sort, ranges } = idOrder(placement, 1, after);
  const batch: Uint8Array[] = [];
  let bytes = 0;
  for (const range of ranges) {
    const cursor = collectionAt(deployments, placement).find(
      { $and: [ofTenant(placement), range] },
      { sort, batchSize: documentsMax, limit: documentsMax, raw: true, ...majority, ...within(statementMs) },
    );
    while (bytes < batchBytesMax && (await cursor.hasNext())) {
      const some = cursor.readBufferedDocuments(piece) as unknown as Uint8Array[];
      for (const { byteLength } of some) bytes += byteLength;
      batch.push(...some);
    }
    await closeInTime(cursor);
    if (batch.length > 0) break;
  }
  return batch;
}

export type Batch = {
  /** Where the next one begins; null when there was nothing left. */
  next: Position;
  copied: number;
  /** What a unique index of the other side refused, as other documents changed meanwhile: to be copied once more. */
  refused: unknown[];
  /** The server would have taken too long: the next batches had better be copied by hand. */
  isSlow: boolean;
};

/**
 * Copies the next documents in the order of `_id`, at most `documentsMax`.
 *
 * The server does it by itself where it can: their content never comes here, so that requests don't wait for it. What it
 * refuses, and ids that no single range holds, is copied by hand. Each is one statement that inserts what isn't there
 * yet and overwrites nothing, so what arrives late does no more harm than an insert (protocol: rule 6).
 *
 * The first batch is copied by hand too, so that the server doesn't plan for an empty collection.
 */
export async function copyBatch(
  deployments: Deployments,
  source: Placement,
  stage: Placement,
  after: Position,
  { documentsMax, byHand = after === null }: { documentsMax: number; byHand?: boolean },
  beforeWrite: () => void,
): Promise<Batch> {
  if (byHand) return await copyByHand(deployments, source, stage, after, documentsMax, beforeWrite);
  const ids = await readIds(deployments, source, after, documentsMax);
  const [first, last] = [ids[0], ids.at(-1)];
  if (ids.length === 0) return { next: null, copied: 0, refused: [], isSlow: false };
  let merged: Merged = "refused";
  if (isRange(first, last)) {
    beforeWrite();
    merged = await merge(deployments, source, stage, between(source, first, last));
    if (merged === "done") return { next: { id: last }, copied: ids.length, refused: [], isSlow: false };
  }
  const batch = await copyByHand(deployments, source, stage, after, documentsMax, beforeWrite);
  return { ...batch, isSlow: merged === "too_slow" };
}

/** The ids of the next documents, as many as a statement may copy. */
async function readIds(
  deployments: Deployments,
  placement: Placement,
  after: Position,
  documentsMax: number,
): Promise<unknown[]> {
  const { sort, ranges } = idOrder(placement, 1, after);
  for (const range of ranges) {
    const stages = [
      { $match: { $and: [ofTenant(placement), range] } },
      { $sort: Object.fromEntries(sort) },
      { $limit: documentsMax },
      { $project: { _id: 0, id: `$${idPath(placement)}`, bytes: { $bsonSize: "$$ROOT" } } },
    ];
    const options = { batchSize: documentsMax, raw: true, ...majority, ...within(statementMs) };
    const found = await collectionAt(deployments, placement).aggregate<Uint8Array>(stages, options).toArray();
    const sized = found.map((each) => {
      const fields = Object.fromEntries(elementsOf(each).map((field) => [field.name, field]));
      return { id: fields.id!, bytes: Buffer.from(fields.bytes!.value).readInt32LE() };
    });
    let bytes = 0;
    const fitting = sized.findIndex((each) => (bytes += each.bytes) > serverBatchBytesMax);
    const some = sized.slice(0, fitting < 0 ? undefined : Math.max(1, fitting));
    if (some.length > 0) return some.map(({ id }) => exactId(id.type, id.value));
  }
  return [];
}

/** Whether everything between two ids is of their type: only then a comparison finds all that the order has there. */
const isRange = (first: unknown, last: unknown): boolean =>
  (first instanceof ObjectId && last instanceof ObjectId) || (typeof first === "string" && typeof last === "string");

/** Makes a stored document of one placement one of another, in the server. */
function converted(source: Placement, stage: Placement): Document {
  const id = `$${idPath(source)}`;
  const key = { $literal: stage.key };
  return {
    $replaceWith: {
      $mergeObjects: [
        "$$ROOT",
        {
          _id: isShared(stage) ? { t: key, i: id } : id,
          tenant_id: key,
          _croupier: { $ifNull: ["$_croupier", { $literal: { v: 0, h: [] } }] },
        },
      ],
    },
  };
}

type Merged = "done" | "refused" | "too_slow";
const exceededTimeLimit = 50;

/** The documents from one id to another. */
const between = (placement: Placement, first: unknown, last: unknown): Document => ({
  $gte: storedId(placement, first),
  $lte: storedId(placement, last),
});

const oneOf = (placement: Placement, ids: readonly unknown[]): Document => ({
  $in: ids.map((id) => storedId(placement, id)),
});

/**
 * Lets the server copy documents by their `_id`. Nothing is overwritten: `put` decides over what is there.
 * The server itself ends it when it takes too long, as it does on FerretDB with a plan that was made for an empty collection
 * and compares every document with every other.
 *
 * @returns whether it is done; when not, it is over, and part of them may be there
 * @throws what leaves open whether it is over
 */
async function merge(deployments: Deployments, source: Placement, stage: Placement, _id: Document): Promise<Merged> {
  const into = { db: stage.database, coll: stage.collection };
  const stages = [
    { $match: { ...ofTenant(source), _id } },
    converted(source, stage),
    { $merge: { into, on: "_id", whenMatched: "fail", whenNotMatched: "insert" } },
  ];
  const limits = { maxTimeMS: mergeMsMax, ...within(statementMs) };
  const options = { ...majority, ...durable, ...limits };
  try {
    await collectionAt(deployments, source).aggregate(stages, options).toArray();
    return "done";
  } catch (error) {
    if (!(error instanceof MongoServerError)) throw error;
    if (hasErrorCode(error, exceededTimeLimit)) return "too_slow";
    if (isUnavailable(error)) throw error;
    return "refused";
  }
}

async function copyByHand(
  deployments: Deployments,
  source: Placement,
  stage: Placement,
  after: Position,
  documentsMax: number,
  beforeWrite: () => void,
): Promise<Batch> {
  const batch = await readBatch(deployments, source, after, Math.min(documentsMax, batchDocumentsMax));
  const documents = batch.map((bytes) => toStage(source, stage, bytes));
  const last = documents.at(-1);
  if (!last) return { next: null, copied: 0, refused: [], isSlow: false };
  beforeWrite();
  const refused = await put(deployments, stage, documents);
  return { next: { id: last.id }, copied: documents.length, refused, isSlow: false };
}

/**
 * Brings single documents to what they are at the source now: there with the same content, or gone.
 *
 * @returns the ids of those that a unique index refused: others in their way have changed too, and come later
 */
export async function copyDocuments(
  deployments: Deployments,
  source: Placement,
  stage: Placement,
  ids: readonly unknown[],
  beforeWrite: () => void,
): Promise<unknown[]> {
  if (ids.length === 0) return [];
  beforeWrite();
  // Nobody reads the stage, so for a moment they may be missing there.
  await removeFrom(deployments, stage, ids);
  const refused: unknown[] = [];
  for await (const batch of findStored(deployments, source, ids)) {
    beforeWrite();
    const documents = batch.map((bytes) => toStage(source, stage, bytes));
    refused.push(...(await put(deployments, stage, documents)));
  }
  return refused;
}

/** The documents with these ids as they are stored, as bytes, a few megabytes at a time. */
export async function* findStored(
  deployments: Deployments,
  placement: Placement,
  ids: readonly unknown[],
  only?: Document,
): AsyncGenerator<Uint8Array[]> {
  const these = { _id: oneOf(placement, ids) as never, ...ofTenant(placement) };
  const options = { raw: true, ...majority, ...within(statementMs) };
  const cursor = collectionAt(deployments, placement).find(only ? { $and: [these, only] } : these, options);
  try {
    let batch: Uint8Array[] = [];
    let bytes = 0;
    while (await cursor.hasNext()) {
      for (const document of cursor.readBufferedDocuments(piece) as unknown as Uint8Array[]) {
        batch.push(document);
        bytes += document.byteLength;
        if (bytes < batchBytesMax) continue;
        yield batch;
        [batch, bytes] = [[], 0];
      }
    }
    if (batch.length > 0) yield batch;
  } finally {
    await cursor.close();
  }
}

const removeFrom = (deployments: Deployments, placement: Placement, ids: readonly unknown[]) =>
  collectionAt(deployments, placement).deleteMany(
    { _id: oneOf(placement, ids) as never, ...ofTenant(placement) },
    within(statementMs),
  );

/** Writes documents to the stage, over those that an interrupted batch left. @returns the ids of those refused */
async function put(deployments: Deployments, stage: Placement, documents: Portable[]): Promise<unknown[]> {
  const failed = await insert(deployments, stage, documents);
  if (failed.length === 0) return [];
  const ids = failed.map(({ id }) => id);
  await removeFrom(deployments, stage, ids);
  return (await insert(deployments, stage, failed)).map(({ id }) => id);
}

/** @returns those that met a duplicate key. @throws as `uncarried` */
async function insert(deployments: Deployments, stage: Placement, documents: Portable[]): Promise<Portable[]> {
  const bytes = documents.map((document) => document.bytes);
  const refusals = await insertBytes(collectionAt(deployments, stage), bytes, within(statementMs));
  for (const refusal of refusals) {
    if (isDuplicateKeyOfAny(refusal)) continue;
    if (isRefusedAlways(refusal)) {
      throw uncarried(documents[refusal.index]!.id, `the database rejects it (code ${refusal.code})`);
    }
    throw new MongoServerError(refusal);
  }
  const places = new Set(refusals.map(({ index }) => index));
  await emptyTimestamps(
    deployments,
    stage,
    documents.filter((_, index) => !places.has(index)),
  );
  return documents.filter((_, index) => places.has(index));
}

/**
 * An empty Timestamp at the top of a document is the server's time as soon as it is inserted (MongoDB manual, "Timestamps");
 * not so when a field is set.
 */
async function emptyTimestamps(deployments: Deployments, stage: Placement, documents: Portable[]): Promise<void> {
  const writes = documents.flatMap(({ id, empty }): AnyBulkWriteOperation<Document>[] => {
    if (empty.length === 0) return [];
    const $set = Object.fromEntries(empty.map((name) => [name, new Timestamp({ t: 0, i: 0 })]));
    return [{ updateOne: { filter: { _id: storedId(stage, id) as never, ...ofTenant(stage) }, update: { $set } } }];
  });
  if (writes.length === 0) return;
  await collectionAt(deployments, stage).bulkWrite(writes, { ordered: false, ...within(statementMs) });
}
