import type { Collection, Db } from "mongodb";
import { isDuplicateId, retryDeadlock, within } from "../lib/mongo/mongo.ts";

/** How the database was when it was prepared for the first time. It stays so, unless an older one is restored into it. */
type Founding = { _id: "database"; was_empty: boolean };

const foundings = (db: Db): Collection<Founding> => db.collection("founding");

const find = (db: Db): Promise<Founding | null> => foundings(db).findOne({ _id: "database" }, within());

/** Whether any version, the first Croupier too, has left a record. Collections alone are no sign: they are there before. */
async function holdsRecords(db: Db): Promise<boolean> {
  for (const records of [db.collection("organizations"), db.collection("admin_users")]) {
    if (await records.findOne({}, { projection: { _id: 1 }, ...within() })) return true;
  }
  return false;
}

/**
 * Notes whether the database is a new one, once. Before anything else is made in it: of several processes that start at once
 * the first one notes it, and what the others find by then is said no more.
 */
export async function noteFounding(db: Db): Promise<void> {
  if (await find(db)) return;
  const founding: Founding = { _id: "database", was_empty: !(await holdsRecords(db)) };
  try {
    await retryDeadlock(() => foundings(db).insertOne(founding, within()));
  } catch (error) {
    if (!isDuplicateId(error)) throw error;
  }
}

/** Notes that there are records of an earlier version after all. @returns whether that was news */
export async function noteRestored(db: Db): Promise<boolean> {
  const empty = { _id: "database", was_empty: true } as const;
  const write = () => foundings(db).updateOne(empty, { $set: { was_empty: false } }, within());
  return (await retryDeadlock(write)).modifiedCount === 1;
}

/** Whether the database is one that an earlier version has used; null before it was prepared. */
export async function isOfBefore(db: Db): Promise<boolean | null> {
  const founding = await find(db);
  return founding && !founding.was_empty;
}
