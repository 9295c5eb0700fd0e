import { type Collection, type Db, ObjectId } from "mongodb";
import { exactBson } from "../../lib/bson/bson.ts";
import { insertParts, majority, buildIndexes, within } from "../../lib/mongo/mongo.ts";
import { idBytes } from "../document-id.ts";

/** That a document is about to be written while its tenant is being moved. Each note is a record of its own. */
export type Note = { _id: ObjectId; operation_id: ObjectId; id: unknown };

const notes = (db: Db): Collection<Note> => db.collection("move_notes");

export async function createNoteIndexes(db: Db): Promise<void> {
  await buildIndexes(notes(db), [{ key: { operation_id: 1, _id: 1 } }]);
}

/** At the most, as BSON. */
const noteBytes = (id: unknown): number => idBytes(id) + 100;

/** Notes documents by their tenant's ids; they are there, for the majority, when it returns. */
export async function writeNotes(db: Db, operationId: ObjectId, ids: readonly unknown[]): Promise<void> {
  for (const some of insertParts(ids, noteBytes)) {
    const documents = some.map((id): Note => ({ _id: new ObjectId(), operation_id: operationId, id }));
    await notes(db).insertMany(documents, { ordered: false, ...within() });
  }
}

/** The notes of a move, at most `limit`, those after `after` only. */
export const findNotes = (db: Db, operationId: ObjectId, limit: number, after: ObjectId | null): Promise<Note[]> =>
  notes(db)
    .find(
      { operation_id: operationId, ...(after && { _id: { $gt: after } }) },
      { ...exactBson, sort: { _id: 1 }, limit, ...majority, ...within() },
    )
    .toArray();

/** How many notes a move has; of more than `limit` it says so many. */
export const countNotes = (db: Db, operationId: ObjectId, limit?: number): Promise<number> =>
  notes(db).countDocuments({ operation_id: operationId }, { ...(limit && { limit }), ...majority, ...within(30_000) });

export async function settleNotes(db: Db, ids: readonly ObjectId[]): Promise<void> {
  if (ids.length > 0) await notes(db).deleteMany({ _id: { $in: [...ids] } }, within());
}

export async function removeNotes(db: Db, operationId: ObjectId): Promise<void> {
  await notes(db).deleteMany({ operation_id: operationId }, within(60_000));
}

/** Which moves have notes: those that aren't under way any more left them. */
export const operationsWithNotes = (db: Db): Promise<ObjectId[]> =>
  notes(db).distinct("operation_id", {}, within(60_000));
