import { stopping } from "../../operation/drive.ts";
import type { Flow, Step } from "../../operation/operation.ts";
import * as guarded from "../../organization/guarded.ts";
import * as organizationStore from "../../organization/store.ts";
import type { Position } from "../../tenant/id-order.ts";
import { stampBatch } from "../../tenant/place/stamp.ts";
import { organizationMissing } from "../failures.ts";
import { enter, organizationOf } from "../guard.ts";

/** `refused`: how many documents the database didn't let the driver of this fence mark, on this walk. */
type Progress = { stamped: number; refused: number; fence: number; upTo: Position };
type StampStep = Step<Record<string, never>, Progress>;

/** Marks the documents that a collection of the first Croupier brought along with their tenant. They can be used all the time. */
const mark: StampStep = async ({ db, deployments, keepHeld }, { organization_id, progress, lease: { fence } }) => {
  const placement = (await organizationStore.findById(db, organization_id))?.placement;
  if (!placement) return { failed: organizationMissing };
  if (!placement.unstamped) return { done: true };
  await keepHeld();
  const { stamped = 0, upTo = null } = progress;
  // Whoever comes next looks at them again.
  const before = progress.fence === fence ? (progress.refused ?? 0) : 0;
  const { next, found, refused } = await stampBatch(deployments, placement, upTo);
  if (next) {
    const counted = { stamped: stamped + found - refused, refused: before + refused };
    return { go: "mark", progress: { ...counted, fence, upTo: next } };
  }
  const unmarked = before + refused;
  // Of what another driver went through nothing is known: then it is gone through from the start.
  if (unmarked > 0 && (before > 0 || !upTo)) {
    const because = "a validator rejects them, they are too large, or JavaScript can't represent their _id";
    throw stopping(`The database refuses to mark ${unmarked} documents: ${because}.`);
  }
  // Something may have come behind the walk from one who stamps nothing: it is over when there is nothing from the start.
  return upTo ? { go: "mark", progress: { upTo: null } } : { go: "record" };
};

const record: StampStep = async ({ db }, operation) => {
  await guarded.notePlacement(db, organizationOf(operation), { unstamped: null });
  return { done: true };
};

/** Those that are marked by then stay so, and the others are the tenant's without. */
const putOff: StampStep = async () => ({ cancelled: true });

export const stamp: Flow<Record<string, never>, Progress> = {
  first: "mark",
  enter,
  steps: { mark, record, put_off: putOff },
  temporary: ["progress.upTo"],
  undo: { mark: "put_off", record: "put_off" },
  acts: () => [],
  view: () => ({}),
  places: () => [],
  isLong: true,
  givesWay: true,
};
