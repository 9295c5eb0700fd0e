import type { Db, ObjectId } from "mongodb";
import { inBatches } from "../../lib/batches.ts";
import { isNamespaceNotFound, majority, within } from "../../lib/mongo/mongo.ts";
import { sharedIndexName } from "./indexes.ts";
import { ownerOfDatabase, type Placement, sharedCollection, type TenantIndex } from "../placement.ts";
import { collectionAt } from "../scope.ts";
import { markerId } from "../copy/stage.ts";
import { baseIndexNames, dropIndexNamed, removeDatabase, removeShared, sharedBaseIndexes } from "./storage.ts";

// What there is, whoever it belongs to: for those who look after all tenants' places at once. Nothing here is asked on a
// request's way, and a collection may be large.

type Named = Pick<Placement, "database" | "collection">;

const scanMs = 30 * 60_000;

/** So many names are held at a time. */
const namesMax = 1_000;

/** The names of a database's collections, some at a time. */
export const collectionNames = (db: Db, database: string): AsyncGenerator<string[]> =>
  inBatches(namesOf(db, database), namesMax);

async function* namesOf(db: Db, database: string): AsyncGenerator<string> {
  const options = { nameOnly: true, batchSize: namesMax, ...within(scanMs) } as const;
  for await (const { name } of db.client.db(database).listCollections({}, options)) yield name;
}

/** Those of some collections that are there. */
export async function existingAmong(db: Db, database: string, names: readonly string[]): Promise<Set<string>> {
  if (names.length === 0) return new Set();
  const filter = { name: { $in: [...names] } };
  const found = await db.client
    .db(database)
    .listCollections(filter, { nameOnly: true, ...within(60_000) })
    .toArray();
  return new Set(found.map(({ name }) => name));
}

export type EnterpriseDatabase = { database: string; organizationId: string };

/** The enterprise databases of this master database, with the organization that each was made for, some at a time. */
export async function* enterpriseDatabases(db: Db): AsyncGenerator<EnterpriseDatabase[]> {
  const { databases } = await db.admin().listDatabases({ nameOnly: true, ...within(60_000) });
  for (let start = 0; start < databases.length; start += namesMax) {
    yield databases.slice(start, start + namesMax).flatMap(({ name }) => {
      const organizationId = ownerOfDatabase(db.databaseName, name);
      return organizationId === null ? [] : [{ database: name, organizationId }];
    });
  }
}

/** Removes an enterprise database; its name was never anybody else's and never will be. */
export async function dropEnterpriseDatabase(db: Db, database: string): Promise<void> {
  if (ownerOfDatabase(db.databaseName, database) === null) throw new Error(`${database} is no tenant's database`);
  await removeDatabase(db, database, () => {});
}

/** Some documents of one collection that say the same tenant; null when they say none. */
export type Share = { tenant: unknown; documents: number };

async function* sharesIn(db: Db, named: Named, except?: string): AsyncGenerator<Share> {
  const groups = collectionAt(db, named).aggregate(
    [
      ...(except === undefined ? [] : [{ $match: { tenant_id: { $ne: except } } }]),
      { $group: { _id: "$tenant_id", documents: { $sum: 1 } } },
    ],
    { allowDiskUse: true, ...majority, ...within(scanMs) },
  );
  for await (const { _id, documents } of groups) yield { tenant: _id ?? null, documents: Number(documents) };
}

/** Whose documents a collection holds, those of one tenant left out. */
export const sharesOf = (db: Db, named: Named, except?: string): Promise<Share[]> =>
  Array.fromAsync(sharesIn(db, named, except));

/** Whose documents the shared collection holds, some tenants at a time. */
export const sharesOfShared = (db: Db): AsyncGenerator<Share[]> => inBatches(sharesIn(db, sharedNamed(db)), sharesMax);
const sharesMax = 1_000;

/** The move that a collection is, or was, the stage of; null when it doesn't say. */
export async function stagedBy(db: Db, named: Named): Promise<ObjectId | null> {
  const marker = await collectionAt(db, named).findOne({ _id: markerId as never }, { ...majority, ...within() });
  return marker?.operation_id ?? null;
}

/** Removes the documents of one tenant out of a collection that is another's. */
export async function removeForeign(db: Db, named: Named, key: string): Promise<void> {
  await collectionAt(db, named).deleteMany({ tenant_id: key }, within(scanMs));
}

/** Removes all that was stored under a key of the shared collection, its indexes too. */
export const removeSharedKey = (db: Db, key: string): Promise<void> =>
  removeShared(db, { ...sharedNamed(db), region: "", tier: "starter", key, epoch: 0 }, async () => {});

const sharedNamed = (db: Db): Named => ({ database: db.databaseName, collection: sharedCollection });

/** The names of a collection's indexes; none when there is no such collection. */
async function indexNames(db: Db, named: Named): Promise<string[]> {
  try {
    return (await collectionAt(db, named).listIndexes(within()).toArray()).map(({ name }) => String(name));
  } catch (error) {
    if (isNamespaceNotFound(error)) return [];
    throw error;
  }
}

export const sharedIndexNames = (db: Db): Promise<string[]> => indexNames(db, sharedNamed(db));

export const dropSharedIndex = (db: Db, name: string): Promise<void> => dropIndexNamed(db, sharedNamed(db), name);

/** Of the indexes that a tenant's own place has to have, those that aren't there; null when there is no such collection. */
export const missingBaseIndexes = async (db: Db, named: Named): Promise<string[] | null> => {
  const names = new Set(await indexNames(db, named));
  // A collection has an index of `_id`, whatever else.
  return names.size === 0 ? null : baseIndexNames.filter((name) => !names.has(name));
};

export const missingSharedBase = (names: ReadonlySet<string>): string[] =>
  sharedBaseIndexes.map(({ name }) => name).filter((name) => !names.has(name));

export type SharedIndexName =
  | { kind: "base" }
  /** One for all who asked for the same fields. */
  | { kind: "common"; index: TenantIndex }
  | { kind: "unique"; key: string; name: string }
  | { kind: "unknown" };

export function parseSharedIndexName(index: string): SharedIndexName {
  if (index === "_id_" || sharedBaseIndexes.some(({ name }) => name === index)) return { kind: "base" };
  const [, field, direction] = /^shared~(.+)_(-?1)$/s.exec(index) ?? [];
  if (field !== undefined) {
    return { kind: "common", index: { name: index, key: { [field]: direction === "1" ? 1 : -1 }, unique: false } };
  }
  const [, key, name] = /^([0-9a-f]{24}(?:\.\d+)?)~(.*)$/s.exec(index) ?? [];
  return key !== undefined && name !== undefined ? { kind: "unique", key, name } : { kind: "unknown" };
}

/** The shared collection's index for each of a tenant's. */
export const wantedSharedIndexes = (placement: Placement): { index: TenantIndex; name: string }[] =>
  (placement.indexes ?? []).map((index) => ({ index, name: sharedIndexName(placement, index) }));
