import type { Flow, Step } from "../operation/operation.ts";
import * as guarded from "../organization/guarded.ts";
import * as organizationStore from "../organization/store.ts";
import type { Position } from "../tenant/id-order.ts";
import { stampBatch } from "../tenant/stamp.ts";
import { organizationMissing } from "./failures.ts";
import { enter, organizationOf } from "./guard.ts";

type StampStep = Step<Record<string, never>, { stamped: number; upTo: Position }>;

/** Marks the documents that a collection of the first Croupier brought along with their tenant. They can be used all the time. */
const mark: StampStep = async ({ db, keepHeld }, { organization_id, progress }) => {
  const placement = (await organizationStore.findById(db, organization_id))?.placement;
  if (!placement) return { failed: organizationMissing };
  if (!placement.unstamped) return { done: true };
  await keepHeld();
  const { stamped = 0, upTo = null } = progress;
  const { next, found } = await stampBatch(db, placement, upTo);
  if (next) return { go: "mark", progress: { stamped: stamped + found, upTo: next } };
  // Something may have come behind the walk from one who stamps nothing: it is over when there is nothing from the start.
  return upTo ? { go: "mark", progress: { upTo: null } } : { go: "record" };
};

const record: StampStep = async ({ db }, operation) => {
  await guarded.notePlacement(db, organizationOf(operation), { unstamped: null });
  return { done: true };
};

export const stamp: Flow = { first: "mark", enter, temporary: ["progress.upTo"], steps: { mark, record } };
