import type { ObjectId } from "mongodb";
import { inBatches } from "../../lib/batches.ts";
import { isNamespaceNotFound, majority, within } from "../../lib/mongo/mongo.ts";
import { sharedIndexName } from "./indexes.ts";
import { databaseAt, type Deployments } from "../deployments.ts";
import { ownerOfDatabase, type Placement, sharedCollection, type TenantIndex } from "../placement.ts";
import { collectionAt } from "../scope.ts";
import { markerId } from "../copy/stage.ts";
import { baseIndexNames, dropIndexNamed, removeDatabase, removeShared, sharedBaseIndexes } from "./storage.ts";

// What there is, whoever it belongs to: for those who look after all tenants' places at once. Nothing here is asked on a
// request's way, and a collection may be large.

type NamedDatabase = Pick<Placement, "region" | "database">;
type Named = NamedDatabase & Pick<Placement, "collection">;

const scanMs = 30 * 60_000;

/** So many names are held at a time. */
const namesMax = 1_000;

/** The names of a database's collections, some at a time. */
export const collectionNames = (deployments: Deployments, database: NamedDatabase): AsyncGenerator<string[]> =>
  inBatches(namesOf(deployments, database), namesMax);

async function* namesOf(deployments: Deployments, database: NamedDatabase): AsyncGenerator<string> {
  const options = { nameOnly: true, batchSize: namesMax, ...within(scanMs) } as const;
  for await (const { name } of databaseAt(deployments, database).listCollections({}, options)) yield name;
}

/** Those of some collections that are there. */
export async function existingAmong(
  deployments: Deployments,
  database: NamedDatabase,
  names: readonly string[],
): Promise<Set<string>> {
  if (names.length === 0) return new Set();
  const filter = { name: { $in: [...names] } };
  const found = await databaseAt(deployments, database)
    .listCollections(filter, { nameOnly: true, ...within(60_000) })
    .toArray();
  return new Set(found.map(({ name }) => name));
}

export type EnterpriseDatabase = NamedDatabase & { organizationId: string };

/** The enterprise databases of a region and this master database, with the organization that each was made for, some at a time. */
export async function* enterpriseDatabases(
  deployments: Deployments,
  region: string,
): AsyncGenerator<EnterpriseDatabase[]> {
  const { home } = deployments.of(region);
  const { databases } = await home.admin().listDatabases({ nameOnly: true, ...within(60_000) });
  for (let start = 0; start < databases.length; start += namesMax) {
    yield databases.slice(start, start + namesMax).flatMap(({ name }) => {
      const organizationId = ownerOfDatabase(home.databaseName, name);
      return organizationId === null ? [] : [{ region, database: name, organizationId }];
    });
  }
}

/** Removes an enterprise database; its name was never anybody else's and never will be. */
export async function dropEnterpriseDatabase(deployments: Deployments, named: NamedDatabase): Promise<void> {
  const { home } = deployments.of(named.region);
  if (ownerOfDatabase(home.databaseName, named.database) === null)
    throw new Error(`${named.database} isn't a tenant's database`);
  await removeDatabase(deployments, named, () => {});
}

/** Some documents of one collection that say the same tenant; null when they say none. */
export type Share = { tenant: unknown; documents: number };

async function* sharesIn(deployments: Deployments, named: Named, except?: string): AsyncGenerator<Share> {
  const groups = collectionAt(deployments, named).aggregate(
    [
      ...(except === undefined ? [] : [{ $match: { tenant_id: { $ne: except } } }]),
      { $group: { _id: "$tenant_id", documents: { $sum: 1 } } },
    ],
    { allowDiskUse: true, ...majority, ...within(scanMs) },
  );
  for await (const { _id, documents } of groups) yield { tenant: _id ?? null, documents: Number(documents) };
}

/** Whose documents a collection holds, those of one tenant left out. */
export const sharesOf = (deployments: Deployments, named: Named, except?: string): Promise<Share[]> =>
  Array.fromAsync(sharesIn(deployments, named, except));

/** Whose documents the shared collection of a region holds, some tenants at a time. */
export const sharesOfShared = (deployments: Deployments, region: string): AsyncGenerator<Share[]> =>
  inBatches(sharesIn(deployments, sharedNamed(deployments, region)), sharesMax);
const sharesMax = 1_000;

/** The move that a collection is, or was, the stage of; null when it doesn't say. */
export async function stagedBy(deployments: Deployments, named: Named): Promise<ObjectId | null> {
  const marker = await collectionAt(deployments, named).findOne(
    { _id: markerId as never },
    { ...majority, ...within() },
  );
  return marker?.operation_id ?? null;
}

/** Removes the documents of one tenant out of a collection that is another's. */
export async function removeForeign(deployments: Deployments, named: Named, key: string): Promise<void> {
  await collectionAt(deployments, named).deleteMany({ tenant_id: key }, within(scanMs));
}

/** Removes all that was stored under a key of the shared collection, its indexes too. */
export const removeSharedKey = (deployments: Deployments, region: string, key: string): Promise<void> =>
  removeShared(deployments, { ...sharedNamed(deployments, region), tier: "starter", key, epoch: 0 }, async () => {});

const sharedNamed = (deployments: Deployments, region: string): Named => ({
  region,
  database: deployments.of(region).home.databaseName,
  collection: sharedCollection,
});

/** The names of a collection's indexes; none when there is no such collection. */
async function indexNames(deployments: Deployments, named: Named): Promise<string[]> {
  try {
    return (await collectionAt(deployments, named).listIndexes(within()).toArray()).map(({ name }) => String(name));
  } catch (error) {
    if (isNamespaceNotFound(error)) return [];
    throw error;
  }
}

export const sharedIndexNames = (deployments: Deployments, region: string): Promise<string[]> =>
  indexNames(deployments, sharedNamed(deployments, region));

export const dropSharedIndex = (deployments: Deployments, region: string, name: string): Promise<void> =>
  dropIndexNamed(deployments, sharedNamed(deployments, region), name);

/** Of the indexes that a tenant's own place has to have, those that aren't there; null when there is no such collection. */
export const missingBaseIndexes = async (deployments: Deployments, named: Named): Promise<string[] | null> => {
  const names = new Set(await indexNames(deployments, named));
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
