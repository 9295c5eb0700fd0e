import type { StepDeps } from "../operation/operation.ts";
import type { OrganizationDocument } from "../organization/organization.ts";
import * as guarded from "../organization/guarded.ts";
import * as organizationStore from "../organization/store.ts";
import { compareDocuments } from "../tenant/compare.ts";
import { countDocuments } from "../tenant/count.ts";
import { drainAll } from "../tenant/drain.ts";
import { listIndexes } from "../tenant/indexes.ts";
import type { Placement } from "../tenant/placement.ts";
import { unveilStage } from "../tenant/stage.ts";
import { organizationOf } from "./guard.ts";
import { afterMoveLeases } from "./lease-wait.ts";
import type { MoveOperation, MoveProgress, MoveStep } from "./move.ts";
import { choosePlace } from "./place.ts";

/** Longer than this no writer waits: what isn't ready by then is tried again. */
const closedMsMax = 4_000;
const compareMax = 1_000;
/** Counting takes about 0.1 s for 100,000 documents. Of more only `verify` has looked at all, and the gate at what changed since. */
const countedMax = 200_000;

/**
 * Closes the gate, copies and compares the rest, and cuts over. Whatever goes wrong before the cutover opens the gate again:
 * the tenant stays where it is, and its writes go on being noted.
 */
export const gate: MoveStep = async (deps, operation) => {
  const { db } = deps;
  const owner = organizationOf(operation);
  const closed = { operation_id: operation._id, phase: "gate" as const };
  try {
    if ((await guarded.enterPhase(db, owner, closed)) !== "written") return { go: "journal" };
    return await passGate(deps, operation);
  } catch (error) {
    // When this can't be written either, whoever takes over does it.
    await guarded.reopenGate(db, owner, operation._id).catch(() => {});
    throw error;
  }
};

const passGate: MoveStep = async (deps, operation) => {
  const { db, assertHeld, keepHeld, proveHeld } = deps;
  const { from, stage, suspects, copied } = operation.progress as MoveProgress;
  const closedMs = performance.now();
  await keepHeld();
  await afterMoveLeases(deps);

  const sides = { source: from, stage, operationId: operation._id };
  const touched = await drainAll(db, sides, closedMs + closedMsMax, { assertHeld, keepHeld, proveHeld });
  if (copied <= countedMax) await compareCounts(deps, from, stage, closedMs + closedMsMax - performance.now());
  await compare(deps, from, stage, [...suspects, ...touched]);
  if (performance.now() > closedMs + closedMsMax) {
    throw new Error("the gate was closed for too long: writers come first");
  }
  const organization = await organizationStore.getById(db, operation.organization_id);
  const { to, abandoned } = await unveil(deps, operation, organization);
  assertHeld();
  const epoch = organization.placement?.epoch ?? 0;
  const written = await guarded.cutOver(db, organizationOf(operation), operation._id, { ...from, epoch }, to);
  deps.log.info(
    { operation_id: operation._id, closed_ms: Math.round(performance.now() - closedMs), last_drained: touched.length },
    "gate passed",
  );
  // What says so wasn't there: `journal` looks who was, and goes on from there.
  if (written !== "written") return { go: "journal" };
  return { go: "clean", progress: { to, abandoned, pause_ms: Math.round(performance.now() - closedMs) } };
};

/** @throws Error that says how the two sides differ */
async function compareCounts({ db }: StepDeps, from: Placement, stage: Placement, timeoutMs: number): Promise<void> {
  const sides = [from, stage].map((side) => countDocuments(db, side, Math.max(0, timeoutMs)));
  const [before, after] = await Promise.all(sides);
  if (before !== after) throw new Error(`the sides differ: ${before} documents here, ${after} there`);
}

/** @throws Error that says how the two sides differ */
async function compare({ db }: StepDeps, from: Placement, stage: Placement, ids: unknown[]): Promise<void> {
  const [indexesBefore, indexesAfter] = await Promise.all([from, stage].map((side) => listIndexes(db, side)));
  if (!Bun.deepEquals(indexesBefore, indexesAfter)) throw new Error("the sides differ in their indexes");
  for (let start = 0; start < ids.length; start += compareMax) {
    const differing = await compareDocuments(db, from, stage, ids.slice(start, start + compareMax));
    if (differing.length > 0) throw new Error(`the sides differ in ${differing.length} documents`);
  }
}

/** Gives the stage the name of the place, or the next free one's. */
async function unveil(
  deps: StepDeps,
  operation: MoveOperation,
  organization: OrganizationDocument,
): Promise<Pick<MoveProgress, "to" | "abandoned">> {
  const progress = operation.progress as MoveProgress;
  const abandoned = [...progress.abandoned];
  let { to, candidate } = progress;
  for (;;) {
    if (await unveilStage(deps.db, progress.stage, to)) return { to, abandoned };
    abandoned.push(to);
    const next =
      to.tier === "professional"
        ? await choosePlace(deps, operation, organization, candidate + 1)
        : { to: { ...to, collection: `${progress.to.collection}~${abandoned.length + 1}` }, candidate };
    if (!next) throw new Error("no name is free for the new place");
    ({ to, candidate } = next);
  }
}
