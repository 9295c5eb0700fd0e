import { ObjectId } from "mongodb";
import { failure } from "../lib/failure.ts";
import { invalid, under } from "../lib/invalid.ts";
import type { DriveDeps } from "../operation/drive.ts";
import { run } from "../operation/run.ts";
import { type DoorDeps, withTenant } from "../tenant/door.ts";
import { hasIndex, type IndexFailure, listIndexes as listAt } from "../tenant/place/indexes.ts";
import type { TenantIndex } from "../tenant/placement.ts";
import { checkOwnPath } from "../tenant/query/path.ts";
import { losesOrder } from "../tenant/query/sort.ts";

type IndexDeps = DriveDeps & DoorDeps;
const budgetMs = 20_000;
/** FerretDB takes some 1,400 with what else is in a key; MongoDB 2,048. */
const pathBytesMax = 1_200;

/** The organization's own indexes, by name; `_id` and `created_at` have one everywhere. */
export async function listIndexes(deps: DoorDeps, organizationId: ObjectId) {
  // The placement says which there are: one that was read before the last change doesn't.
  await deps.leases.renew(organizationId);
  return await withTenant(deps, organizationId, "read", ({ placement }) =>
    listAt(deps.documents.deployments, placement),
  );
}

/**
 * Makes an index, in every tier alike. One that is there already, just so, is no error.
 *
 * @throws Failure `invalid_request`, `index_exists`, `index_violated`, `index_unfit`, `index_limit`, `operation_pending`; of `withTenant`
 */
export async function createIndex(
  deps: IndexDeps,
  organizationId: ObjectId,
  wanted: { key: TenantIndex["key"]; name?: string | undefined; unique?: boolean | undefined },
): Promise<TenantIndex> {
  for (const path of Object.keys(wanted.key)) checkOwnPath(path, under("#/key", path));
  if (Buffer.byteLength(Object.keys(wanted.key).join("")) > pathBytesMax)
    throw invalid("#/key", `must have paths of at most ${pathBytesMax} bytes together`, "too_long");
  if (losesOrder(wanted.key))
    throw invalid("#/key", "has a numeric field name, so the order of the fields can't be kept", "ambiguous_order");
  if (Object.keys(wanted.key).join() === "_id")
    throw invalid("#/key", "is only _id, which always has an index", "reserved_name");
  const name =
    wanted.name ??
    Object.entries(wanted.key)
      .map(([path, direction]) => `${path}_${direction}`)
      .join("_");
  if (name.length > 100) throw invalid("#/name", "must be given when the field names are long", "too_long");
  if (name === "created_at_1" || name === "_id_")
    throw invalid("#/name", "is the name of a built-in index", "reserved_name");
  const index: TenantIndex = { name, key: wanted.key, unique: wanted.unique ?? false };
  if (hasIndex(await listIndexes(deps, organizationId), index)) return index;
  await change(deps, organizationId, { create: index });
  return index;
}

/** Drops an index. @throws Failure `index_not_found`, `operation_pending`; of `withTenant` */
export async function dropIndex(deps: IndexDeps, organizationId: ObjectId, name: string): Promise<void> {
  const index = (await listIndexes(deps, organizationId)).find((each) => each.name === name);
  if (!index) throw failure<IndexFailure>("index_not_found", "No index has this name.");
  await change(deps, organizationId, { drop: index });
}

/** An operation, so that no move misses it and a process that dies leaves nothing half done. */
const change = (deps: IndexDeps, organization_id: ObjectId, input: { create: TenantIndex } | { drop: TenantIndex }) =>
  // A field may be called anything: as text no name in it means something to the database.
  run(
    deps,
    { _id: new ObjectId(), organization_id, kind: "index", input: { change: JSON.stringify(input) } },
    budgetMs,
  );
