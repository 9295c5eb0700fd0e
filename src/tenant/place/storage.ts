import type { Db, Document, IndexSpecification } from "mongodb";
import { expecting, heedsCollectionUuid } from "../../lib/mongo/collection-uuid.ts";
import {
  buildIndexes,
  isAnotherCollection,
  isIndexNotFound,
  isNamespaceExists,
  isNamespaceNotFound,
  isRefused,
  isUnauthorized,
  durable,
  majority,
  retryDeadlock,
  within,
} from "../../lib/mongo/mongo.ts";
import { databaseAt, type Deployment, type Deployments } from "../deployments.ts";
import { isShared, type Placement, sharedCollection } from "../placement.ts";
import { collectionAt } from "../scope.ts";

type NamedDatabase = Pick<Placement, "region" | "database">;
type Named = NamedDatabase & Pick<Placement, "collection">;

export const sharedBaseIndexes = [
  { name: "tenant_id_1__id.i_1", key: { tenant_id: 1, "_id.i": 1 } },
  { name: "tenant_id_1_created_at_1", key: { tenant_id: 1, created_at: 1 } },
] as const;

/** The shared collection with the indexes that all tenants' statements rest on; doing it again changes nothing. */
export async function createSharedCollection({ home }: Deployment): Promise<void> {
  await createCollection(home, sharedCollection);
  await buildIndexes(
    home.collection(sharedCollection),
    sharedBaseIndexes.map((index) => ({ ...index })),
  );
}

const baseIndexes = [{ name: "created_at_1", key: { created_at: 1 } }] as const;
/** Those that every place has. */
export const baseIndexNames: readonly string[] = baseIndexes.map(({ name }) => name);

/**
 * Makes a place that was never anybody's before ready for documents. A statement for whoever had the name before may arrive
 * late and make a collection of its own, with documents or with an index that would refuse the newcomer's: that is no place.
 *
 * @returns false when what has the name may not have been made here; then it is left as it is
 */
export async function createPlace(deployments: Deployments, placement: Placement): Promise<boolean> {
  // The shared one is there since the start.
  if (isShared(placement)) return true;
  await createCollection(databaseAt(deployments, placement), placement.collection);
  if (!(await isBare(deployments, placement))) return false;
  await createBaseIndexes(deployments, placement);
  return true;
}

/** Makes what a place that a tenant lives at lacks; doing it again changes nothing. */
export async function completePlace(deployments: Deployments, placement: Placement): Promise<void> {
  if (isShared(placement)) return;
  await createCollection(databaseAt(deployments, placement), placement.collection);
  await createBaseIndexes(deployments, placement);
}

const createBaseIndexes = async (deployments: Deployments, placement: Placement): Promise<void> => {
  for (const { name, key } of baseIndexes) await buildIndex(deployments, placement, key, { name }, 60_000);
};

/** The server takes a collection for made that is there with the same options, so its answer doesn't tell who made it. */
async function createCollection(db: Db, collection: string): Promise<void> {
  try {
    // The driver's createCollection would send the signal to the server.
    await retryDeadlock(() => db.command({ create: collection, ...durable }, within()));
  } catch (error) {
    if (!isNamespaceExists(error)) throw error;
  }
}

/** Whether a plain collection has this name, without options, documents and indexes but those that every place has. */
export async function isBare(deployments: Deployments, named: Named): Promise<boolean> {
  if (!(await findCollection(deployments, named))?.isPlain) return false;
  const indexes = await collectionAt(deployments, named).listIndexes(within()).toArray();
  const isBase = ({ name }: Document) => name === "_id_" || baseIndexNames.includes(String(name));
  return indexes.every(isBase) && !(await hasDocuments(deployments, named));
}

/** So much sooner than the caller the server gives a build up, which it then takes back; what only its caller gives up may go on. */
const serverFirstMs = 5_000;

/**
 * Builds an index, in the very collection that has the name now: a build that arrives late makes none in the next one, nor
 * that collection itself, where the server heeds its UUID. Doing it again changes nothing.
 */
export async function buildIndex(
  deployments: Deployments,
  named: Named,
  key: IndexSpecification,
  options: { name: string } & Document,
  timeoutMs: number,
): Promise<void> {
  const expected = (await heedsCollectionUuid(deployments.of(named.region).home))
    ? await identify(deployments, named)
    : null;
  const indexes = [{ key, ...options }];
  const limits = { ...expecting(expected?.uuid), ...durable, maxTimeMS: timeoutMs };
  const command = { createIndexes: named.collection, indexes, ...limits };
  await retryDeadlock(() => databaseAt(deployments, named).command(command, within(timeoutMs + serverFirstMs)));
}

const hasDocuments = async (deployments: Deployments, named: Named): Promise<boolean> =>
  (await collectionAt(deployments, named).findOne({}, { projection: { _id: 1 }, ...within() })) !== null;

/** What a collection is, whatever its name: its UUID as text, null where the server keeps none. */
export type CollectionIdentity = { uuid: string | null };

/** Whether it is one and the same, whatever its name; where the server keeps no UUID it can't be told. */
export const isSameCollection = (a: CollectionIdentity | null, b: CollectionIdentity | null): boolean =>
  a?.uuid != null && a.uuid === b?.uuid;

/** `isPlain`: of the kind that places are made of; no view, no time series, nothing capped or with a validator. */
export type Existing = Named & { identity: CollectionIdentity; isPlain: boolean };

async function listCollections(
  deployments: Deployments,
  { region, database }: NamedDatabase,
  filter: Document,
  timeoutMs?: number,
): Promise<Existing[]> {
  const options = { nameOnly: false, ...within(timeoutMs) } as const;
  const listed = await databaseAt(deployments, { region, database }).listCollections(filter, options).toArray();
  return listed.map((found) => {
    const { name, type = "collection" } = found;
    const { info, options } = "info" in found ? found : {};
    const isPlain = type === "collection" && Object.keys(options ?? {}).length === 0;
    return {
      region,
      database,
      collection: name,
      identity: { uuid: info?.uuid?.toUUID().toHexString() ?? null },
      isPlain,
    };
  });
}

/** The collections of a database, each with what it is whatever its name; those that the server keeps for itself left out. */
export const existingCollections = async (deployments: Deployments, database: NamedDatabase): Promise<Existing[]> =>
  (await listCollections(deployments, database, {}, 60_000)).filter(
    ({ collection }) => !collection.startsWith("system."),
  );

/** Undefined when there is none of that name. */
export const findCollection = async (deployments: Deployments, named: Named): Promise<Existing | undefined> =>
  (await listCollections(deployments, named, { name: named.collection }))[0];

/** Null when there is no collection of that name. */
export const identify = async (deployments: Deployments, named: Named): Promise<CollectionIdentity | null> =>
  (await findCollection(deployments, named))?.identity ?? null;

/** The names of a database's collections that begin so. */
export const collectionsNamed = async (
  deployments: Deployments,
  database: NamedDatabase,
  prefix: string,
): Promise<string[]> =>
  (
    await databaseAt(deployments, database)
      .listCollections({ name: { $gte: prefix, $lt: `${prefix}\uffff` } }, { nameOnly: true, ...within() })
      .toArray()
  ).map(({ name }) => name);

// With the collection's UUID in a command, one that arrives late can't hit another tenant's collection that has taken the
// name since. Where the server reads over it, no name is given twice: see `retired.ts`.

/** `refused`: the server says why it can't now, and has changed nothing. */
export type RenameOutcome = "renamed" | "source_missing" | "target_exists" | { refused: unknown };

/** Longer than this a rename doesn't wait for others, who build an index there say: readers and writers wait for it. */
const renameMsMax = 1_000;

/**
 * Renames a collection with its documents and indexes, at a cost that doesn't depend on their number.
 *
 * @throws what leaves open whether it was renamed, or will be
 */
export async function renameCollection(
  deployments: Deployments,
  from: Named,
  to: string,
  expected: CollectionIdentity | null,
): Promise<RenameOutcome> {
  const namespace = (collection: string) => `${from.database}.${collection}`;
  try {
    await databaseAt(deployments, from)
      .admin()
      .command(
        {
          renameCollection: namespace(from.collection),
          to: namespace(to),
          ...expecting(expected?.uuid),
          ...durable,
          maxTimeMS: renameMsMax,
        },
        within(),
      );
    return "renamed";
  } catch (error) {
    if (isNamespaceNotFound(error) || isAnotherCollection(error)) return "source_missing";
    if (isNamespaceExists(error)) return "target_exists";
    if (isRefused(error)) return { refused: error };
    throw error;
  }
}

/** Drops a collection if it is still the one that was meant; one that is gone already is no error. */
export async function dropCollection(
  deployments: Deployments,
  named: Named,
  expected: CollectionIdentity | null,
): Promise<void> {
  try {
    await databaseAt(deployments, named).command(
      { drop: named.collection, ...expecting(expected?.uuid), ...durable },
      within(60_000),
    );
  } catch (error) {
    if (!isNamespaceNotFound(error) && !isAnotherCollection(error)) throw error;
  }
}

/** What whoever removes something has to be sure of while it does: that nobody has taken over from it. */
export type PlaceLease = { assertHeld(): void; keepHeld(): Promise<void> };

const removeBatchMax = 1_000;

/** Removes the documents of one stay in the shared collection, some at a time; others' are next to them. */
export async function removeShared(
  deployments: Deployments,
  placement: Placement,
  keepHeld: () => Promise<void>,
): Promise<void> {
  const shared = collectionAt(deployments, placement);
  for (;;) {
    await keepHeld();
    const batch = await shared
      .find({ tenant_id: placement.key }, { projection: { _id: 1 }, limit: removeBatchMax, ...majority, ...within() })
      .toArray();
    if (batch.length === 0) break;
    await shared.deleteMany({ _id: { $in: batch.map(({ _id }) => _id) }, tenant_id: placement.key }, within(60_000));
  }
  await dropSharedIndexes(deployments, placement);
}

/** Drops the indexes that are one stay's alone: the collection can't have many. */
export async function dropSharedIndexes(deployments: Deployments, placement: Placement): Promise<void> {
  const shared = collectionAt(deployments, placement);
  for (const { name } of await shared.listIndexes(within()).toArray()) {
    if (String(name).startsWith(`${placement.key}~`)) await dropIndexNamed(deployments, placement, String(name));
  }
}

/** Drops an index; one that is gone already is no error. */
export async function dropIndexNamed(deployments: Deployments, named: Named, name: string): Promise<void> {
  try {
    const expected = (await heedsCollectionUuid(deployments.of(named.region).home))
      ? await identify(deployments, named)
      : null;
    const command = { dropIndexes: named.collection, index: name, ...expecting(expected?.uuid), ...durable };
    await databaseAt(deployments, named).command(command, within());
  } catch (error) {
    if (!isIndexNotFound(error)) throw error;
  }
}

/**
 * Removes the database of one tenant, whose name was never anybody else's and never will be. A user who may not drop databases
 * drops all that is in it: then it vanishes by itself.
 */
export async function removeDatabase(
  deployments: Deployments,
  database: NamedDatabase,
  assertHeld: () => void,
): Promise<void> {
  for (const existing of await existingCollections(deployments, database)) {
    assertHeld();
    await dropCollection(deployments, existing, existing.identity);
  }
  assertHeld();
  try {
    await databaseAt(deployments, database).dropDatabase(within(60_000));
  } catch (error) {
    if (!isUnauthorized(error) || (await existingCollections(deployments, database)).length > 0) throw error;
  }
}

/** Removes a place that a tenant has left or never entered, with what is there; `identity` is that of its own collection. */
export async function removePlace(
  deployments: Deployments,
  placement: Placement,
  identity: CollectionIdentity | null,
  { assertHeld, keepHeld }: PlaceLease,
): Promise<void> {
  if (isShared(placement)) return await removeShared(deployments, placement, keepHeld);
  assertHeld();
  if (placement.tier === "enterprise") await removeDatabase(deployments, placement, assertHeld);
  else await dropCollection(deployments, placement, identity);
}
