import { ObjectId } from "mongodb";
import type { Deps } from "../deps.ts";
import { failure } from "../lib/failure.ts";
import { invalid, under } from "../lib/invalid.ts";
import { type DriveDeps, run } from "../operation/drive.ts";
import { withTenant } from "../tenant/door.ts";
import { type IndexFailure, listIndexes as listAt, tenantIndexesMax } from "../tenant/indexes.ts";
import type { TenantIndex } from "../tenant/placement.ts";
import { checkOwnPath } from "../tenant/query/path.ts";

type IndexDeps = DriveDeps & Pick<Deps, "leases">;
const budgetMs = 20_000;

/** The organization's own indexes, by name; `_id` and `created_at` have one everywhere. */
export const listIndexes = ({ db, leases }: Pick<Deps, "db" | "leases">, organizationId: ObjectId) =>
  withTenant({ db, leases }, organizationId, "read", ({ placement }) => listAt(db, placement));

/**
 * Makes an index, in every tier alike. One that is there already, just so, is no error.
 *
 * @throws Failure `invalid_request`, `index_exists`, `index_violated`, `index_limit`, `operation_pending`; of `withTenant`
 */
export async function createIndex(
  deps: IndexDeps,
  organizationId: ObjectId,
  wanted: { key: TenantIndex["key"]; name?: string | undefined; unique?: boolean | undefined },
): Promise<TenantIndex> {
  for (const path of Object.keys(wanted.key)) checkOwnPath(path, under("#/key", path));
  const name =
    wanted.name ??
    Object.entries(wanted.key)
      .map(([path, direction]) => `${path}_${direction}`)
      .join("_");
  if (name.length > 100) throw invalid("#/name", "must be given when the fields are long", "too_long");
  if (name === "created_at_1" || name === "_id_")
    throw invalid("#/name", "is the name of an index that is always there", "reserved_name");
  const index: TenantIndex = { name, key: wanted.key, unique: wanted.unique ?? false };
  const all = await listIndexes(deps, organizationId);
  const same = all.find((other) => other.name === name);
  if (same && Bun.deepEquals(same, index)) return index;
  if (same) throw failure<IndexFailure>("index_exists", "There is another index of this name.");
  if (all.length >= tenantIndexesMax) {
    throw failure<IndexFailure>("index_limit", `An organization may have ${tenantIndexesMax} indexes; drop one first.`);
  }
  await change(deps, organizationId, { create: index });
  return index;
}

/** Drops an index. @throws Failure `index_not_found`, `operation_pending`; of `withTenant` */
export async function dropIndex(deps: IndexDeps, organizationId: ObjectId, name: string): Promise<void> {
  const index = (await listIndexes(deps, organizationId)).find((each) => each.name === name);
  if (!index) throw failure<IndexFailure>("index_not_found", "There is no index of this name.");
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
