import { randomUUID } from "node:crypto";
import { type Db, type Document, type MongoClient, UUID } from "mongodb";
import { isAnotherCollection, isNamespaceNotFound, within } from "./mongo.ts";

const known = new WeakMap<MongoClient, Promise<boolean>>();

/**
 * Whether the server heeds `collectionUUID` (MongoDB 6.0 and later): then a statement that arrives late can't hit another
 * collection that has taken the name since. FerretDB reads over it in `drop` and `renameCollection`, and refuses it elsewhere.
 */
export function heedsCollectionUuid(db: Db): Promise<boolean> {
  const asked = known.get(db.client) ?? ask(db);
  known.set(db.client, asked);
  asked.catch(() => known.delete(db.client));
  return asked;
}

/** By what it does, as there are several servers that speak MongoDB's protocol. */
async function ask(db: Db): Promise<boolean> {
  try {
    await db.command({ drop: `no-collection-${randomUUID()}`, ...expecting(randomUUID()) }, within());
    return false;
  } catch (error) {
    if (isAnotherCollection(error)) return true;
    if (isNamespaceNotFound(error)) return false;
    throw error;
  }
}

/** The part of a command that names the collection it means. */
export const expecting = (uuid: string | null | undefined): Document =>
  uuid ? { collectionUUID: new UUID(uuid) } : {};
