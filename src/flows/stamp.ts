import type { Flow, Step } from "../operation/operation.ts";
import * as organizationStore from "../organization/store.ts";
import { stampBatch } from "../tenant/stamp.ts";
import { organizationMissing } from "./failures.ts";
import { enter, organizationOf } from "./guard.ts";

type StampStep = Step<Record<string, never>, { stamped: number }>;

/** Marks the documents that a collection of the first Croupier brought along with their tenant. They can be used all the time. */
const mark: StampStep = async ({ db, keepHeld }, { organization_id, progress }) => {
  const placement = (await organizationStore.findById(db, organization_id))?.placement;
  if (!placement) return { failed: organizationMissing };
  if (!placement.unstamped) return { done: true };
  await keepHeld();
  const stamped = await stampBatch(db, placement);
  return stamped === 0 ? { go: "record" } : { go: "mark", progress: { stamped: (progress.stamped ?? 0) + stamped } };
};

const record: StampStep = async ({ db }, operation) => {
  await organizationStore.notePlacement(db, organizationOf(operation), { unstamped: null });
  return { done: true };
};

export const stamp: Flow = { first: "mark", enter, steps: { mark, record } };
