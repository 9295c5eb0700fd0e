import { type Db, type Document, UUID } from "mongodb";
import { isAnotherCollection, isNamespaceExists, isNamespaceNotFound, within } from "../lib/mongo.ts";

/** Creates a tenant's collection with its indexes; doing it again changes nothing. */
export async function createCollection(db: Db, collection: string): Promise<void> {
  try {
    // The driver's createCollection would send the signal to the server.
    await db.command({ create: collection }, within());
  } catch (error) {
    if (!isNamespaceExists(error)) throw error;
  }
  await db.collection(collection).createIndex({ created_at: 1 }, within());
}

export const hasDocuments = async (db: Db, collection: string): Promise<boolean> =>
  (await db.collection(collection).findOne({}, { projection: { _id: 1 }, ...within() })) !== null;

/** What a collection is, whatever its name: its UUID as text, null where the server keeps none. */
export type CollectionIdentity = { uuid: string | null };

/** Null when there is no collection of that name. */
export async function identify(db: Db, collection: string): Promise<CollectionIdentity | null> {
  const [found] = await db.listCollections({ name: collection }, { nameOnly: false, ...within() }).toArray();
  if (!found) return null;
  const uuid = "info" in found ? (found.info?.uuid ?? null) : null;
  return { uuid: uuid && uuid.toUUID().toHexString() };
}

// With the collection's UUID in the command, one that arrives late can't hit another tenant's collection that has taken
// the name since (MongoDB 6.0 and later; FerretDB reads over it).
const expecting = ({ uuid }: CollectionIdentity): Document => (uuid ? { collectionUUID: new UUID(uuid) } : {});

export type RenameOutcome = "renamed" | "source_missing" | "target_exists";

/** Renames a collection with its documents and indexes, at a cost that doesn't depend on their number. */
export async function renameCollection(
  db: Db,
  from: string,
  to: string,
  expected: CollectionIdentity,
): Promise<RenameOutcome> {
  const namespace = (collection: string) => `${db.databaseName}.${collection}`;
  try {
    await db
      .admin()
      .command({ renameCollection: namespace(from), to: namespace(to), ...expecting(expected) }, within());
    return "renamed";
  } catch (error) {
    if (isNamespaceNotFound(error) || isAnotherCollection(error)) return "source_missing";
    if (isNamespaceExists(error)) return "target_exists";
    throw error;
  }
}

/** Drops a collection if it is still the one that was meant; one that is gone already is no error. */
export async function dropCollection(db: Db, collection: string, expected: CollectionIdentity): Promise<void> {
  try {
    await db.command({ drop: collection, ...expecting(expected) }, within());
  } catch (error) {
    if (!isNamespaceNotFound(error) && !isAnotherCollection(error)) throw error;
  }
}
