import type { Collection, Db } from "mongodb";
import { isDuplicateId, retryDeadlock, within } from "../lib/mongo/mongo.ts";

/** How the database was when it was prepared for the first time; it stays so. */
type Founding = { _id: "database"; was_empty: boolean };

const foundings = (db: Db): Collection<Founding> => db.collection("founding");

const find = (db: Db): Promise<Founding | null> => foundings(db).findOne({ _id: "database" }, within());

/** Collections that the first Croupier has, too, and every version makes at its first start. */
const ofAllVersions = ["organizations", "admin_users"];

/**
 * Notes whether the database is a new one, once. Before anything else is made in it: of several processes that start at once
 * the first one notes it, and what the others find by then is said no more.
 */
export async function noteFounding(db: Db): Promise<void> {
  if (await find(db)) return;
  const filter = { name: { $in: ofAllVersions } };
  const there = await db.listCollections(filter, { nameOnly: true, ...within() }).toArray();
  const founding: Founding = { _id: "database", was_empty: there.length === 0 };
  try {
    await retryDeadlock(() => foundings(db).insertOne(founding, within()));
  } catch (error) {
    if (!isDuplicateId(error)) throw error;
  }
}

/** Whether the database is one that an earlier version has used; null before it was prepared. */
export async function isOfBefore(db: Db): Promise<boolean | null> {
  const founding = await find(db);
  return founding && !founding.was_empty;
}
