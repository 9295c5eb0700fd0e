import type { Document } from "mongodb";
import type { Operation, StepDeps } from "../operation/operation.ts";
import { isShared, type Placement, placeKey, type TenantIndex } from "../tenant/placement.ts";
import { retirePlace, sweepPlace } from "../tenant/retired.ts";
import { dropCollection, identify, isSameCollection, removePlace } from "../tenant/storage.ts";
import { tendCommon } from "./common-index.ts";
import { removeLeftovers } from "./move-end.ts";
import type { MoveOperation, MoveProgress } from "./move.ts";

type Left = { deps: StepDeps; operation: Operation; progress: Document; live: Placement };

/** What a move may have made, and where the tenant was before or was about to go. */
async function removeMove({ deps, operation, progress, live }: Left): Promise<void> {
  const { from, to, source, keys = [] } = progress as Partial<MoveProgress>;
  if (!from || !to) return;
  // Its driver may have something on its way still.
  const { _id: move_id, organization_id } = operation;
  const stages = isShared(to) ? keys.map((key) => ({ ...to, key })) : [to];
  await retirePlace(deps.db, live, { organization_id, stages, move_id });
  await removeLeftovers(deps, { ...operation, progress: { ...progress, keys } } as MoveOperation, placeKey(live));
  for (const place of [from, to]) {
    if (placeKey(place) === placeKey(live)) continue;
    if (place === from) await removePlace(deps.db, from, source ?? null, deps);
    // The new database was nobody's yet; under another name there is nothing but what has just been removed.
    else if (to.tier === "enterprise") await removePlace(deps.db, to, null, deps);
  }
  await tendCommon(deps, operation, [...(from.indexes ?? []), ...(to.indexes ?? [])]);
}

/** The documents may have the new name already, while the record still says the old one. */
async function removeRenamed({ deps, progress, live }: Left): Promise<void> {
  const { from, to, source } = progress;
  for (const place of [from, to]) {
    if (!place || placeKey(place) === placeKey(live)) continue;
    const found = await identify(deps.db, place);
    deps.assertHeld();
    if (isSameCollection(found, source)) await dropCollection(deps.db, place, found);
    else await sweepPlace(deps.db, place, deps);
  }
}

/** One that was built and not listed yet. */
async function removeIndex({ deps, operation }: Left): Promise<void> {
  const { create, drop } = JSON.parse(operation.superseded!.input.change) as Record<string, TenantIndex | undefined>;
  await tendCommon(deps, operation, [create ?? drop!]);
}

const leftBy: Record<string, (left: Left) => Promise<void>> = {
  move: removeMove,
  update: removeRenamed,
  index: removeIndex,
};

/** Removes what an operation into whose place a deletion has come has left beside the place where the tenant lives. */
export async function removeSuperseded(deps: StepDeps, operation: Operation, live: Placement): Promise<void> {
  const { superseded } = operation;
  if (superseded) await leftBy[superseded.kind]?.({ deps, operation, progress: superseded.progress, live });
}
