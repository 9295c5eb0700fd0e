import type { Db, Document, IndexDescriptionInfo } from "mongodb";
import { failure } from "../../lib/failure.ts";
import {
  hasErrorCode,
  isDuplicateKeyOfAny,
  isRefusedIndex,
  isUnindexable,
  isViolatedAtBuild,
  within,
} from "../../lib/mongo/mongo.ts";
import type { Deployments } from "../deployments.ts";
import { isShared, offerPlace, type Placement, type TenantIndex } from "../placement.ts";
import { collectionAt } from "../scope.ts";
import { baseIndexNames, buildIndex, dropIndexNamed } from "./storage.ts";

export type IndexFailure =
  | "index_exists"
  | "index_not_found"
  | "index_limit"
  | "index_busy"
  | "index_violated"
  | "index_unfit"
  | "index_not_portable";

/** How many indexes a tenant may have; MongoDB's own limit is 64 for a collection. */
export const tenantIndexesMax = 10;
/** How many it may have at a place: in the shared collection what is set, as all tenants there have one room together. */
export const indexesMaxAt = (placement: Pick<Placement, "tier">, starterIndexes: number): number =>
  isShared(placement) ? starterIndexes : tenantIndexesMax;
/** So long an index may take; then the server gives it up. */
export const buildMs = 10 * 60_000;

const own = new Set(["_id_", ...baseIndexNames]);

const readOwn = async (deployments: Deployments, placement: Placement): Promise<IndexDescriptionInfo[]> =>
  (await collectionAt(deployments, placement).listIndexes(within()).toArray()).filter(
    ({ name }) => !own.has(String(name)),
  );

/**
 * The tenant's indexes at a placement. In the shared collection the placement says which they are; elsewhere the collection
 * does, and one that somebody made by hand and that has more than a key, a name and `unique` is `index_not_portable`.
 */
export async function listIndexes(deployments: Deployments, placement: Placement): Promise<TenantIndex[]> {
  if (isShared(placement)) return [...(placement.indexes ?? [])].sort(byName);
  return (await readOwn(deployments, placement))
    .map(({ name, key, unique }) => ({
      name: String(name),
      key: key as TenantIndex["key"],
      unique: unique === true,
    }))
    .sort(byName);
}
const byName = (a: TenantIndex, b: TenantIndex) => (a.name < b.name ? -1 : 1);

/** What an index may have for the shared collection to take it. */
const portable = new Set(["v", "key", "name", "unique", "ns", "background", "storageEngine"]);

/**
 * Makes all indexes of one place at another, before documents come there.
 *
 * @param share makes one in the shared collection, beside those before it
 * @throws Failure `index_limit`, `index_exists`; of `share`
 */
export async function copyIndexes(
  deployments: Deployments,
  from: Placement,
  to: Placement,
  beforeEach: () => void,
  share: (index: TenantIndex, beside: readonly TenantIndex[]) => Promise<void>,
): Promise<TenantIndex[]> {
  const wanted = await listIndexes(deployments, from);
  if (isShared(from) || isShared(to)) {
    for (const [place, index] of wanted.entries()) {
      beforeEach();
      await (isShared(to) ? share(index, wanted.slice(0, place)) : createIndex(deployments, to, index));
    }
  } else {
    for (const { key, v: _, ns: __, storageEngine: ___, ...options } of await readOwn(deployments, from)) {
      beforeEach();
      await buildIndex(deployments, to, key, { ...options, name: String(options.name) }, buildMs);
    }
  }
  return wanted;
}

/**
 * @throws Failure `index_not_portable` when an index of one place can't be had at the other, `index_limit` when there are more
 * than the other may have
 */
export async function assertPortable(
  deployments: Deployments,
  from: Placement,
  to: Placement,
  starterIndexes: number,
): Promise<void> {
  if (isShared(from) || !isShared(to)) return;
  const indexes = await readOwn(deployments, from);
  if (indexes.length > starterIndexes) throw tooMany(starterIndexes);
  for (const index of indexes) {
    const more = Object.keys(index).filter((option) => !portable.has(option));
    const isPlain = Object.values(index.key).every((direction) => Number(direction) === 1 || Number(direction) === -1);
    if (more.length === 0 && isPlain) continue;
    throw failure<IndexFailure>(
      "index_not_portable",
      `The shared collection can't hold the index ${index.name} (${more.join(", ") || "its key"}); drop it first.`,
    );
  }
}

const tooMany = (indexesMax: number) =>
  failure<IndexFailure>(
    "index_limit",
    `An organization may have at most ${indexesMax} indexes in that tier; drop some first.`,
  );

export const noRoom = (isFull: boolean) =>
  failure<IndexFailure>(
    "index_limit",
    isFull
      ? "The shared collection can't hold another index; ask for the tier professional, where each organization has its own collection."
      : "The shared collection keeps its remaining room for organizations with fewer indexes: drop one, use one on a single field that others have too, or ask for the tier professional.",
  );

const keyText = ({ key }: Pick<TenantIndex, "key">) =>
  JSON.stringify(Object.entries(key).map(([path, direction]) => [path, Number(direction)]));
const everywhere = new Set([keyText({ key: { _id: 1 } }), keyText({ key: { created_at: 1 } })]);

/**
 * Whether a tenant that has these indexes has this very one already.
 *
 * @throws Failure `index_exists` (another one of this name, or of these fields), `index_limit`: decided here, as in the shared
 * collection the database would decide otherwise
 */
export function hasIndex(all: readonly TenantIndex[], index: TenantIndex, indexesMax = tenantIndexesMax): boolean {
  const key = keyText(index);
  const other = all.find((each) => each.name === index.name || keyText(each) === key);
  if (other && other.name === index.name && keyText(other) === key && other.unique === index.unique) return true;
  if (other?.name === index.name) throw failure<IndexFailure>("index_exists", "Another index has this name.");
  if (other || everywhere.has(key)) {
    throw failure<IndexFailure>("index_exists", "Another index has these fields.");
  }
  if (all.length < indexesMax) return false;
  throw tooMany(indexesMax);
}

/** A name in a path that MongoDB also takes for a place in an array. */
const hasNumber = (path: string): boolean => path.split(".").some((name) => /^\d+$/.test(name));

/**
 * Whether an index in the shared collection is one tenant's alone. A unique one is. So is one of several fields, as MongoDB
 * refuses documents with arrays in two of them, and one of a path with a number in it, as it refuses those where that may be
 * a name or a place: it must be no other tenant's documents that are refused. The rest serve all who asked for the same key,
 * or the 64 that a collection may have would soon be used up.
 */
const isAlone = ({ key, unique }: TenantIndex) =>
  unique || Object.keys(key).length > 1 || Object.keys(key).some(hasNumber);

export const isCommon = (index: TenantIndex): boolean => !isAlone(index);
export const isSameCommon = (a: TenantIndex, b: TenantIndex): boolean =>
  isCommon(a) && isCommon(b) && keyText(a) === keyText(b);

/** Deeper than this a path isn't asked about by its beginnings. */
const beginningsMax = 8;

/**
 * Documents that others store without this field are no work for the index, which would cost them most of an insert's time
 * (`docs/indexes.md`). Whatever asks for a value of the field implies this; `$elemMatch` does by the beginning of the path.
 */
function isThere(path: string): Document {
  const names = path.split(".");
  const beginnings =
    names.length > beginningsMax ? [] : names.slice(1).map((_, end) => names.slice(0, end + 1).join("."));
  const each = [path, ...beginnings].map((one) => ({ [one]: { $exists: true } }));
  return each.length === 1 ? each[0]! : { $or: each };
}

/** The shared collection's index for one of a tenant's. */
function sharedIndex({ key }: Placement, index: TenantIndex) {
  const fields = Object.entries(index.key).map(([field, direction]) => [field === "_id" ? "_id.i" : field, direction]);
  const name = isAlone(index)
    ? `${key}~${index.name}`
    : `shared~${fields.map(([field, direction]) => `${field}_${direction}`).join("_")}`;
  return {
    key: { tenant_id: 1, ...Object.fromEntries(fields) } as Record<string, 1 | -1>,
    options: {
      name,
      ...(index.unique && { unique: true }),
      partialFilterExpression: isAlone(index) ? { tenant_id: key } : isThere(fields[0]![0] as string),
    },
  };
}

export const sharedIndexName = (placement: Placement, index: TenantIndex): string =>
  sharedIndex(placement, index).options.name;

const tooManyIndexes = 67;
const tookTooLong = 50;
const optionsConflict = [85, 86];

/** @throws Failure `index_violated`, `index_unfit`, `index_limit`, `index_exists` (another one of that name, or of that key) */
export async function createIndex(deployments: Deployments, placement: Placement, index: TenantIndex): Promise<void> {
  const { key, options } = isShared(placement)
    ? sharedIndex(placement, index)
    : { key: index.key, options: { name: index.name, ...(index.unique && { unique: true }) } };
  try {
    await buildIndex(deployments, placement, key, options, buildMs);
  } catch (error) {
    if (isUnindexable(error)) {
      throw failure<IndexFailure>(
        "index_unfit",
        "A document has arrays in two of these fields, or a numeric field name inside an array: no index can hold it.",
      );
    }
    if (isDuplicateKeyOfAny(error) || isViolatedAtBuild(error)) {
      throw failure<IndexFailure>("index_violated", "Two documents have the same value, so the index can't be unique.");
    }
    if (hasErrorCode(error, tooManyIndexes)) {
      throw isShared(placement)
        ? noRoom(true)
        : failure<IndexFailure>("index_limit", "The collection can't hold another index.");
    }
    if (hasErrorCode(error, tookTooLong)) {
      const detail = `Building the index took longer than ${buildMs / 60_000} minutes and was given up.`;
      throw failure<IndexFailure>("index_unfit", detail);
    }
    if (optionsConflict.some((code) => hasErrorCode(error, code))) {
      throw failure<IndexFailure>("index_exists", "Another index has this name or these fields.");
    }
    if (isRefusedIndex(error)) throw failure<IndexFailure>("index_unfit", "The database can't build this index.");
    throw error;
  }
}

/** Removes the shared collection's index for all tenants who have this one: for `settleCommon`, which knows them. */
export const removeCommon = (deployments: Deployments, shared: Placement, index: TenantIndex): Promise<void> =>
  dropIndexNamed(deployments, shared, sharedIndexName(shared, index));
/** Where indexes are that all share. */
export const commonPlace = ({ databaseName }: Db): Placement =>
  offerPlace("starter", { masterDatabase: databaseName, organizationId: "", organizationName: "" }, 1);

/** Drops an index that is the tenant's alone; of the shared collection's others `settleCommon` says whether they go. */
export async function dropIndex(deployments: Deployments, placement: Placement, index: TenantIndex): Promise<void> {
  if (isShared(placement) && !isAlone(index)) return;
  await dropIndexNamed(deployments, placement, isShared(placement) ? sharedIndexName(placement, index) : index.name);
}
