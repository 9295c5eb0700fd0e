import { isLate } from "../../lib/mongo/mongo.ts";
import type { Next, StepDeps } from "../../operation/operation.ts";
import type { OrganizationDocument } from "../../organization/organization.ts";
import * as guarded from "../../organization/guarded.ts";
import * as organizationStore from "../../organization/store.ts";
import { drainAll, gateTooLong, notesInGateMax } from "../../tenant/copy/drain.ts";
import { listIndexes } from "../../tenant/place/indexes.ts";
import { countNotes } from "../../tenant/copy/journal.ts";
import type { Placement } from "../../tenant/placement.ts";
import { unveilStage } from "../../tenant/copy/stage.ts";
import { organizationOf } from "../guard.ts";
import { afterMoveLeases } from "../lease-wait.ts";
import type { MoveOperation, MoveProgress, MoveStep } from "./move.ts";
import { choosePlace } from "../place.ts";

/** Longer than this no writer waits: what isn't ready by then is tried again. */
const closedMsMax = 4_000;

/**
 * Closes the gate, copies and compares what is still noted, and cuts over. Whatever goes wrong before the cutover opens the
 * gate again: the tenant stays where it is, and its writes go on being noted. Nothing here takes longer for a tenant of more
 * documents: all of them have been compared before.
 */
export const gate: MoveStep = async (deps, operation) => {
  const { db } = deps;
  const owner = organizationOf(operation);
  const closed = { operation_id: operation._id, phase: "gate" as const };
  if ((await countNotes(db, operation._id, notesInGateMax + 1)) > notesInGateMax) return { go: "drain" };
  const deadlineMs = performance.now() + closedMsMax;
  try {
    if ((await guarded.enterPhase(db, owner, closed)) !== "written") return { go: "journal" };
    return await passGate(deps, operation, deadlineMs);
  } catch (error) {
    // When this can't be written either, whoever takes over does it.
    await guarded.reopenGate(db, owner, operation._id).catch(() => {});
    throw isLate(error) || performance.now() > deadlineMs ? gateTooLong(error) : error;
  }
};

async function passGate(deps: StepDeps, operation: MoveOperation, deadlineMs: number): Promise<Next<MoveProgress>> {
  const { db, assertHeld, keepHeld, proveHeld } = deps;
  const { from, stage, verified } = operation.progress as MoveProgress;
  const closedMs = performance.now();
  await keepHeld();
  await afterMoveLeases(deps);

  const sides = { source: from, stage, operationId: operation._id, verified };
  const drained = await drainAll(deps, sides, deadlineMs, { assertHeld, keepHeld, proveHeld });
  await compareIndexes(deps, from, stage);
  if (performance.now() > deadlineMs) throw gateTooLong();
  const organization = await organizationStore.getById(db, operation.organization_id);
  const { to, abandoned } = await unveil(deps, operation, organization);
  assertHeld();
  const epoch = organization.placement?.epoch ?? 0;
  const written = await guarded.cutOver(db, organizationOf(operation), operation._id, { ...from, epoch }, to);
  deps.log.info(
    { operation_id: operation._id, closed_ms: Math.round(performance.now() - closedMs), last_drained: drained },
    "gate passed",
  );
  // What says so wasn't there: `journal` looks who was, and goes on from there.
  if (written !== "written") return { go: "journal" };
  return { go: "clean", progress: { to, abandoned, pause_ms: Math.round(performance.now() - closedMs) } };
}

/** @throws Error when the two sides don't have the same indexes */
async function compareIndexes({ deployments }: StepDeps, from: Placement, stage: Placement): Promise<void> {
  const [before, after] = await Promise.all([from, stage].map((side) => listIndexes(deployments, side)));
  if (!Bun.deepEquals(before, after)) throw new Error("source and copy differ in their indexes");
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
    if (await unveilStage(deps.deployments, progress.stage, to)) return { to, abandoned };
    abandoned.push(to);
    const next =
      to.tier === "professional"
        ? await choosePlace(deps, operation, organization, candidate + 1)
        : { to: { ...to, collection: `${progress.to.collection}~${abandoned.length + 1}` }, candidate };
    if (!next) throw new Error("no free name was found for the new place");
    ({ to, candidate } = next);
  }
}
