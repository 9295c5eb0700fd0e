import type { Collection, Db } from "mongodb";
import { isDuplicateId, retryDeadlock, within } from "../lib/mongo/mongo.ts";
import type { KeyDocument } from "./key.ts";

const keys = (db: Db): Collection<KeyDocument> => db.collection("operator_keys");

/** False when there is another key of this id. */
export async function insert(db: Db, key: KeyDocument): Promise<boolean> {
  try {
    await retryDeadlock(() => keys(db).insertOne(key, within()));
    return true;
  } catch (error) {
    if (isDuplicateId(error)) return false;
    throw error;
  }
}

export const findById = (db: Db, id: string): Promise<KeyDocument | null> => keys(db).findOne({ _id: id }, within());

/** All of them, the oldest first: whoever runs the service has made each by hand. */
export const listAll = (db: Db): Promise<KeyDocument[]> =>
  keys(db).find({}, within()).sort({ created_at: 1, _id: 1 }).toArray();

/** Notes that a key holds no more; when that was noted before, it stays as it was. */
export async function revoke(db: Db, id: string, at: Date): Promise<void> {
  await retryDeadlock(() => keys(db).updateOne({ _id: id, revoked_at: null }, { $set: { revoked_at: at } }, within()));
}

/** Notes that a key was used, unless that was noted after `before`. */
export async function noteUse(db: Db, id: string, at: Date, before: Date): Promise<void> {
  const due = { $or: [{ last_used_at: null }, { last_used_at: { $lt: before } }] };
  await keys(db).updateOne({ _id: id, ...due }, { $set: { last_used_at: at } }, within());
}
