import { type Db, type Document, UUID } from "mongodb";
import {
  isAnotherCollection,
  isIndexNotFound,
  isNamespaceExists,
  isNamespaceNotFound,
  majority,
  within,
} from "../lib/mongo.ts";
import { isShared, type Placement, sharedCollection } from "./placement.ts";
import { collectionAt } from "./scope.ts";

type Named = Pick<Placement, "database" | "collection">;

const databaseAt = (db: Db, { database }: Named): Db => db.client.db(database);

export const sharedBaseIndexes = [
  { name: "tenant_id_1__id.i_1", key: { tenant_id: 1, "_id.i": 1 } },
  { name: "tenant_id_1_created_at_1", key: { tenant_id: 1, created_at: 1 } },
] as const;

/** The shared collection with the indexes that all tenants' statements rest on; doing it again changes nothing. */
export async function createSharedCollection(db: Db): Promise<void> {
  await createCollection(db, { database: db.databaseName, collection: sharedCollection });
  const shared = db.collection(sharedCollection);
  for (const { name, key } of sharedBaseIndexes) await shared.createIndex(key, { name, ...within(60_000) });
}

/** Makes a place ready for documents; doing it again changes nothing. */
export async function createPlace(db: Db, placement: Placement): Promise<void> {
  // The shared one is there since the start.
  if (isShared(placement)) return;
  await createCollection(db, placement);
  await collectionAt(db, placement).createIndex({ created_at: 1 }, within());
}

async function createCollection(db: Db, named: Named): Promise<void> {
  try {
    // The driver's createCollection would send the signal to the server.
    await databaseAt(db, named).command({ create: named.collection }, within());
  } catch (error) {
    if (!isNamespaceExists(error)) throw error;
  }
}

export const hasDocuments = async (db: Db, named: Named): Promise<boolean> =>
  (await collectionAt(db, named).findOne({}, { projection: { _id: 1 }, ...within() })) !== null;

/** What a collection is, whatever its name: its UUID as text, null where the server keeps none. */
export type CollectionIdentity = { uuid: string | null };

/** Null when there is no collection of that name. */
export async function identify(db: Db, named: Named): Promise<CollectionIdentity | null> {
  const [found] = await databaseAt(db, named)
    .listCollections({ name: named.collection }, { nameOnly: false, ...within() })
    .toArray();
  if (!found) return null;
  const uuid = "info" in found ? (found.info?.uuid ?? null) : null;
  return { uuid: uuid && uuid.toUUID().toHexString() };
}

/** The names of a database's collections that begin so. */
export const collectionsNamed = async (db: Db, database: string, prefix: string): Promise<string[]> =>
  (
    await db.client
      .db(database)
      .listCollections({ name: { $gte: prefix, $lt: `${prefix}\uffff` } }, { nameOnly: true, ...within() })
      .toArray()
  ).map(({ name }) => name);

// With the collection's UUID in the command, one that arrives late can't hit another tenant's collection that has taken
// the name since (MongoDB 6.0 and later; FerretDB reads over it).
const expecting = (identity: CollectionIdentity | null): Document =>
  identity?.uuid ? { collectionUUID: new UUID(identity.uuid) } : {};

export type RenameOutcome = "renamed" | "source_missing" | "target_exists";

/** Renames a collection with its documents and indexes, at a cost that doesn't depend on their number. */
export async function renameCollection(
  db: Db,
  from: Named,
  to: string,
  expected: CollectionIdentity | null,
): Promise<RenameOutcome> {
  const namespace = (collection: string) => `${from.database}.${collection}`;
  try {
    await db
      .admin()
      .command({ renameCollection: namespace(from.collection), to: namespace(to), ...expecting(expected) }, within());
    return "renamed";
  } catch (error) {
    if (isNamespaceNotFound(error) || isAnotherCollection(error)) return "source_missing";
    if (isNamespaceExists(error)) return "target_exists";
    throw error;
  }
}

/** Drops a collection if it is still the one that was meant; one that is gone already is no error. */
export async function dropCollection(db: Db, named: Named, expected: CollectionIdentity | null): Promise<void> {
  try {
    await databaseAt(db, named).command({ drop: named.collection, ...expecting(expected) }, within(60_000));
  } catch (error) {
    if (!isNamespaceNotFound(error) && !isAnotherCollection(error)) throw error;
  }
}

/** What whoever removes something has to be sure of while it does: that nobody has taken over from it. */
export type PlaceLease = { assertHeld(): void; keepHeld(): Promise<void> };

const removeBatchMax = 1_000;

/** Removes the documents of one stay in the shared collection, some at a time; others' are next to them. */
export async function removeShared(db: Db, placement: Placement, keepHeld: () => Promise<void>): Promise<void> {
  const shared = collectionAt(db, placement);
  for (;;) {
    await keepHeld();
    const batch = await shared
      .find({ tenant_id: placement.key }, { projection: { _id: 1 }, limit: removeBatchMax, ...majority, ...within() })
      .toArray();
    if (batch.length === 0) break;
    await shared.deleteMany({ _id: { $in: batch.map(({ _id }) => _id) }, tenant_id: placement.key }, within(60_000));
  }
  await dropSharedIndexes(db, placement);
}

/** Drops the indexes that are one stay's alone: the collection can't have many. */
export async function dropSharedIndexes(db: Db, placement: Placement): Promise<void> {
  const shared = collectionAt(db, placement);
  for (const { name } of await shared.listIndexes(within()).toArray()) {
    if (String(name).startsWith(`${placement.key}~`)) await dropIndexNamed(db, placement, String(name));
  }
}

/** Drops an index; one that is gone already is no error. */
export async function dropIndexNamed(db: Db, named: Named, name: string): Promise<void> {
  try {
    await collectionAt(db, named).dropIndex(name, within());
  } catch (error) {
    if (!isIndexNotFound(error)) throw error;
  }
}

/** Removes a place that a tenant has left or never entered, with what is there; `identity` is that of its own collection. */
export async function removePlace(
  db: Db,
  placement: Placement,
  identity: CollectionIdentity | null,
  { assertHeld, keepHeld }: PlaceLease,
): Promise<void> {
  if (isShared(placement)) return await removeShared(db, placement, keepHeld);
  assertHeld();
  // A database of its own was never anybody else's, and never will be.
  if (placement.tier === "enterprise") await databaseAt(db, placement).dropDatabase(within(60_000));
  else await dropCollection(db, placement, identity);
}
