import { setTimeout as sleep } from "node:timers/promises";
import { failure } from "../../lib/failure.ts";
import type { Operation, StepDeps } from "../../operation/operation.ts";
import { awaitBuildTurn, endBuildTurn, takeBuildTurn } from "../../operation/build-turn.ts";
import * as organizationStore from "../../organization/store.ts";
import { assertRoom, readSharedRoom } from "../../tenant/place/index-room.ts";
import { buildMs, createIndex, type IndexFailure, isCommon, removeCommon } from "../../tenant/place/indexes.ts";
import type { Placement, TenantIndex } from "../../tenant/placement.ts";

/** So long a tenant's new index waits for its turn. */
const turnMs = 5_000;
const pollMs = 50;

/** Where and why an index of the shared collection is made. */
type ToShare = {
  placement: Placement;
  index: TenantIndex;
  /** The tenant's own that are there already; without, it is listed, and needs no leave. */
  beside?: readonly TenantIndex[];
};

/**
 * Makes an index in the shared collection, where all processes together build one at a time: a build takes the collection's
 * documents of all tenants, and the server's time. One that is there needs neither a turn nor room.
 *
 * @param waitMs how long it waits for its turn
 * @throws Failure `index_busy`, `index_limit`; of `createIndex`
 */
export async function makeShared(
  deps: Pick<StepDeps, "db" | "deployments" | "keepHeld" | "assertHeld" | "mayTake">,
  operation: Operation,
  { placement, index, beside }: ToShare,
  waitMs = turnMs,
): Promise<void> {
  const { db, deployments } = deps;
  const build = async () => {
    deps.assertHeld();
    deps.mayTake(buildMs);
    await createIndex(deployments, placement, index);
  };
  if ((await readSharedRoom(deployments, placement)).has(index)) return await build();
  try {
    await takeTurn(deps, operation, waitMs);
    const room = await readSharedRoom(deployments, placement);
    // What others list has its place, though it may not be there just now.
    const isNew = beside && !room.isTaken(index) && !(await isOthers(deps, operation, index));
    if (isNew) assertRoom(room.free, await countTaken(deps, operation, beside));
    deps.assertHeld();
    // An earlier version's, which the server takes for another of the same name.
    if (room.isTaken(index) && !room.has(index)) await removeCommon(deployments, placement, index);
    await build();
  } finally {
    await endBuildTurn(db, operation);
  }
}

async function takeTurn(
  { db, keepHeld }: Pick<StepDeps, "db" | "keepHeld">,
  operation: Operation,
  waitMs: number,
): Promise<void> {
  const deadline = performance.now() + waitMs;
  if (await takeBuildTurn(db, operation)) return;
  await awaitBuildTurn(db, operation);
  while (!(await takeBuildTurn(db, operation))) {
    if (performance.now() > deadline) {
      const detail =
        "Another index is being built in the shared collection, which builds one at a time; try again shortly.";
      throw failure<IndexFailure>("index_busy", detail);
    }
    await keepHeld();
    await sleep(pollMs);
  }
}

const isOthers = async (
  { db }: Pick<StepDeps, "db">,
  { organization_id }: Operation,
  index: TenantIndex,
): Promise<boolean> => isCommon(index) && (await organizationStore.isIndexListed(db, index.key, organization_id));

/** Of a tenant's indexes those that are there for nobody else. */
async function countTaken(
  deps: Pick<StepDeps, "db">,
  operation: Operation,
  indexes: readonly TenantIndex[],
): Promise<number> {
  let taken = 0;
  for (const index of indexes) if (!(await isOthers(deps, operation, index))) taken++;
  return taken;
}
