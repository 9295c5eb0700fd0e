import { BSON, type Db, type Document, MongoBulkWriteError } from "mongodb";
import { exactBson } from "../lib/bson.ts";
import { isDuplicateKeyOfAny, majority, within } from "../lib/mongo.ts";
import type { Placement } from "./placement.ts";
import { afterInTurn } from "./query/page.ts";
import type { Sort } from "./query/sort.ts";
import { collectionAt } from "./scope.ts";
import { idPath, ofTenant, readStored, storedId, toStored } from "./stored.ts";

/** One batch: so many documents and bytes at the most, so that neither memory nor a lease runs out. */
const batchDocumentsMax = 1_000;
const batchBytesMax = 8 * 1024 * 1024;
const statementMs = 30_000;

/** The position in a walk through a tenant's documents in the order of `_id`: after this one; null at the start. */
export type Position = { id: unknown } | null;

const byId: Sort = [{ path: "_id", direction: 1 }];

/**
 * The next stored documents after a position, in the order of `_id`, exact for ids of all types, whose order no single
 * comparison crosses; none at the end.
 *
 * @param options `raw`: as bytes
 */
export async function readBatch<T extends Document | Uint8Array = Document>(
  db: Db,
  placement: Placement,
  after: Position,
  sizeOf: (document: T) => number,
  options: { raw?: boolean } = {},
): Promise<T[]> {
  const path = idPath(placement);
  const tenant = ofTenant(placement);
  const parts = after ? afterInTurn(byId, [after.id], path).map((part) => ({ $and: [tenant, part] })) : [tenant];
  const batch: T[] = [];
  let bytes = 0;
  for (const filter of parts) {
    const cursor = collectionAt(db, placement).find(filter, {
      sort: { [path]: 1 },
      batchSize: batchDocumentsMax,
      limit: batchDocumentsMax,
      ...exactBson,
      ...options,
      ...majority,
      ...within(statementMs),
    });
    for await (const document of cursor as unknown as AsyncIterable<T>) {
      batch.push(document);
      bytes += sizeOf(document);
      if (bytes >= batchBytesMax) break;
    }
    await cursor.close();
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
};

/** Copies the next documents in the order of `_id`. */
export async function copyBatch(
  db: Db,
  source: Placement,
  stage: Placement,
  after: Position,
  beforeWrite: () => void,
): Promise<Batch> {
  const documents = await readBatch(db, source, after, (document) => BSON.calculateObjectSize(document));
  const last = documents.at(-1);
  if (!last) return { next: null, copied: 0, refused: [] };
  beforeWrite();
  const refused = await put(db, source, stage, documents);
  return { next: { id: readStored(source, last).id }, copied: documents.length, refused };
}

/**
 * Brings single documents to what they are at the source now: there with the same content, or gone.
 *
 * @returns the ids of those that a unique index refused: others in their way have changed too, and come later
 */
export async function copyDocuments(
  db: Db,
  source: Placement,
  stage: Placement,
  ids: readonly unknown[],
  beforeWrite: () => void,
): Promise<unknown[]> {
  if (ids.length === 0) return [];
  const documents = await findStored(db, source, ids, {});
  beforeWrite();
  // Nobody reads the stage, so for a moment they may be missing there.
  await removeFrom(db, stage, ids);
  return documents.length === 0 ? [] : await put(db, source, stage, documents);
}

export const findStored = (db: Db, placement: Placement, ids: readonly unknown[], options: { raw?: boolean }) =>
  collectionAt(db, placement)
    .find(
      { _id: { $in: ids.map((id) => storedId(placement, id)) as never[] }, ...ofTenant(placement) },
      { ...exactBson, ...options, ...majority, ...within(statementMs) },
    )
    .toArray();

const removeFrom = (db: Db, placement: Placement, ids: readonly unknown[]) =>
  collectionAt(db, placement).deleteMany(
    { _id: { $in: ids.map((id) => storedId(placement, id)) as never[] }, ...ofTenant(placement) },
    within(statementMs),
  );

/** Writes documents to the stage, over those that an interrupted batch left. @returns the ids of those refused */
async function put(db: Db, source: Placement, stage: Placement, stored: Document[]): Promise<unknown[]> {
  const documents = stored.map((document) => readStored(source, document));
  const failed = await insertAll(
    db,
    stage,
    documents.map((document) => toStored(stage, document)),
  );
  if (failed.length === 0) return [];
  const again = failed.map((index) => documents[index]!);
  await removeFrom(
    db,
    stage,
    again.map(({ id }) => id),
  );
  const refused = await insertAll(
    db,
    stage,
    again.map((document) => toStored(stage, document)),
  );
  return refused.map((index) => again[index]!.id);
}

/** @returns which of them met a duplicate key */
async function insertAll(db: Db, stage: Placement, documents: Document[]): Promise<number[]> {
  try {
    await collectionAt(db, stage).insertMany(documents, { ordered: false, ...within(statementMs) });
    return [];
  } catch (error) {
    if (!(error instanceof MongoBulkWriteError)) throw error;
    const failures = Array.isArray(error.writeErrors) ? error.writeErrors : [error.writeErrors];
    if (failures.length === 0 || !failures.every(isDuplicateKeyOfAny)) throw error;
    return failures.map(({ index }) => index);
  }
}
