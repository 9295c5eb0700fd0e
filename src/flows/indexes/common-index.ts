import type { Db } from "mongodb";
import { isFailure } from "../../lib/failure.ts";
import { isLate, isUnavailable } from "../../lib/mongo/mongo.ts";
import type { Operation, StepDeps } from "../../operation/operation.ts";
import { findAllOpen } from "../../operation/store.ts";
import * as organizationStore from "../../organization/store.ts";
import { commonPlace, createIndex, isCommon, isSameCommon, removeCommon } from "../../tenant/place/indexes.ts";
import { isShared, type Placement, type TenantIndex } from "../../tenant/placement.ts";
import { makeShared } from "./shared-index.ts";

/** An operation's step; or one who isn't any, and takes no turn for what it hardly ever has to build. */
type Settling =
  { deps: StepDeps; operation: Operation } | { deps: Pick<StepDeps, "db" | "deployments">; operation: null };

/**
 * Brings those of these indexes that tenants of the shared collection have in common to what all lists say: one that is
 * listed by anybody is there, one that nobody lists any more takes up none of the few that a collection may have.
 *
 * Invariant: whoever has changed a list looks at all of them afterwards, and acts until a look after its last act says the
 * same as the one before it. So what one does by an old look it mends itself by the next, or whoever takes over from it. A
 * list is a placement's, or that of a move to the shared collection, which is recorded before the move makes any index.
 *
 * The list of the operation's own move doesn't count: whoever asks has arrived, or never will.
 */
export async function settleCommon(settling: Settling, indexes: readonly TenantIndex[]): Promise<void> {
  const { deps, operation } = settling;
  for (const index of indexes.filter(isCommon)) {
    let wanted = await isListed(deps.db, index, operation);
    for (;;) {
      if (operation) deps.assertHeld();
      await (wanted ? make(settling, index) : removeCommon(deps.deployments, commonPlace(deps.db), index));
      const seen = await isListed(deps.db, index, operation);
      if (seen === wanted) break;
      wanted = seen;
    }
  }
}

/**
 * The same for who doesn't list any of them any more. One that others list they have made themselves; and what can't be done
 * now is no reason for anything else to fail: the doctor finds it, and the next who looks at all lists does it.
 */
export async function tendCommon(deps: StepDeps, operation: Operation, indexes: readonly TenantIndex[]): Promise<void> {
  for (const index of indexes.filter(isCommon)) {
    try {
      if (!(await isListed(deps.db, index, operation))) await settleCommon({ deps, operation }, [index]);
    } catch (error) {
      if ((isUnavailable(error) && !isLate(error)) || (isFailure(error) && error.failure === "operation_pending"))
        throw error;
      deps.log.warn({ err: error }, "upkeep of a shared index postponed");
    }
  }
}

/** What others list has to be there, however long it takes until it is its turn. */
const make = ({ deps, operation }: Settling, index: TenantIndex): Promise<void> =>
  operation
    ? makeShared(deps, operation, { placement: commonPlace(deps.db), index }, Infinity)
    : createIndex(deps.deployments, commonPlace(deps.db), index);

/** The moves first: one that has ended in between has arrived by then. */
async function isListed(db: Db, index: TenantIndex, own: Operation | null): Promise<boolean> {
  const arriving = (await findAllOpen(db)).some(({ _id, kind, progress }) => {
    const to: Placement | undefined = kind === "move" && !own?._id.equals(_id) ? progress.to : undefined;
    return to !== undefined && isShared(to) && (to.indexes ?? []).some((one) => isSameCommon(one, index));
  });
  return arriving || (await organizationStore.isIndexListed(db, index.key));
}
