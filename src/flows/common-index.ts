import type { Db, ObjectId } from "mongodb";
import { isFailure } from "../lib/failure.ts";
import { isLate, isUnavailable } from "../lib/mongo.ts";
import type { StepDeps } from "../operation/operation.ts";
import { findAllOpen } from "../operation/store.ts";
import * as organizationStore from "../organization/store.ts";
import { buildMs, isCommon, isSameCommon, makeCommon, removeCommon } from "../tenant/indexes.ts";
import { isShared, type Placement, type TenantIndex } from "../tenant/placement.ts";

/**
 * Brings those of these indexes that tenants of the shared collection have in common to what all lists say: one that is
 * listed by anybody is there, one that nobody lists any more takes up none of the few that a collection may have.
 *
 * Invariant: whoever has changed a list looks at all of them afterwards, and acts until a look after its last act says the
 * same as the one before it. So what one does by an old look it mends itself by the next, or whoever takes over from it. A
 * list is a placement's, or that of a move to the shared collection, which is recorded before the move makes any index.
 *
 * @param but a move whose list doesn't count any more
 */
export async function settleCommon(
  { db, assertHeld, mayTake }: Pick<StepDeps, "db" | "assertHeld"> & Partial<StepDeps>,
  indexes: readonly TenantIndex[],
  but?: ObjectId,
): Promise<void> {
  for (const index of indexes.filter(isCommon)) {
    let wanted = await isListed(db, index, but);
    for (;;) {
      assertHeld();
      mayTake?.(buildMs);
      await (wanted ? makeCommon(db, index) : removeCommon(db, index));
      const seen = await isListed(db, index, but);
      if (seen === wanted) break;
      wanted = seen;
    }
  }
}

/**
 * The same for who doesn't list any of them any more. One that others list they have made themselves; and what can't be done
 * now is no reason for anything else to fail: the doctor finds it, and the next who looks at all lists does it.
 */
export async function tendCommon(deps: StepDeps, indexes: readonly TenantIndex[], but?: ObjectId): Promise<void> {
  for (const index of indexes.filter(isCommon)) {
    try {
      if (!(await isListed(deps.db, index, but))) await settleCommon(deps, [index], but);
    } catch (error) {
      if ((isUnavailable(error) && !isLate(error)) || (isFailure(error) && error.failure === "operation_pending"))
        throw error;
      deps.log.warn({ err: error }, "a common index is left for later");
    }
  }
}

/** The moves first: one that has ended in between has arrived by then. */
async function isListed(db: Db, index: TenantIndex, but?: ObjectId): Promise<boolean> {
  const arriving = (await findAllOpen(db)).some(({ _id, kind, progress }) => {
    const to: Placement | undefined = kind === "move" && !but?.equals(_id) ? progress.to : undefined;
    return to !== undefined && isShared(to) && (to.indexes ?? []).some((one) => isSameCommon(one, index));
  });
  return arriving || (await organizationStore.isIndexListed(db, index.key));
}
