import { setTimeout as sleep } from "node:timers/promises";
import type { Flow, Operation, Step, StepDeps } from "../../operation/operation.ts";
import { leftOf, type Pace, paceFrom } from "../../operation/pace.ts";
import { compareBatch, type Compared } from "../../tenant/copy/compare.ts";
import { copyBatch } from "../../tenant/copy/copy.ts";
import { drain, notesInGateMax } from "../../tenant/copy/drain.ts";
import type { Position } from "../../tenant/id-order.ts";
import { countNotes, writeNotes } from "../../tenant/copy/journal.ts";
import type { Placement, Tier } from "../../tenant/placement.ts";
import { saveCheckpoint } from "../../tenant/copy/stage.ts";
import type { CollectionIdentity } from "../../tenant/place/storage.ts";
import { enter } from "../guard.ts";
import { moveLeasesLastMs } from "../lease-wait.ts";
import { cancelMove, clean, removeMoved } from "./move-end.ts";
import { gate } from "./move-gate.ts";
import { journal, plan } from "./move-plan.ts";

export type MoveInput = { tier: Tier };
export type MoveProgress = {
  from: Placement;
  /** The collection that is left, as the server knows it. */
  source: CollectionIdentity | null;
  to: Placement;
  /** Which of a tier's places `to` is. */
  candidate: number;
  /** Places of a tier that a driver unveiled, and died before the tenant was there. */
  abandoned: Placement[];
  /** The driver whose stage it is; its place, and all keys in the shared collection that drivers may have copied under. */
  fence: number;
  stage: Placement;
  keys: string[];
  /** Why it can never arrive: it is put back, and ends so. */
  failed: { code: string; detail: string };
  upTo: Position;
  /** How many documents the next batch has. */
  batch: number;
  /** How many batches more are not left to the server. */
  by_hand: number;
  /** How many documents there were when it began; null when counting them would have taken long. */
  total: number | null;
  copied: number;
  /** How far both sides have been compared, how many documents that is, and whether it is all. */
  compared_to: Compared;
  compared: number;
  verified: boolean;
  /** The fewest notes that were left since `drain` began, and how many looks in turn found no fewer. */
  fewest: number | null;
  vain: number;
  pace: Pace;
  /** How long the gate was closed, in milliseconds. */
  pause_ms: number;
};
export type MoveOperation = Operation<MoveInput, MoveProgress>;
export type MoveStep = Step<MoveInput, MoveProgress>;

/** Another driver's stage is not this one's to write to. */
const ofThisDriver =
  (step: MoveStep): MoveStep =>
  async (deps, operation) =>
    operation.progress.fence === operation.lease.guard ? await step(deps, operation) : { go: "journal" };

/** How long one run of a step goes on before its progress is recorded. */
const recordEveryMs = 1_000;

const copy: MoveStep = async (deps, operation) => {
  const { db, deployments, config, assertHeld, keepHeld } = deps;
  const { from, stage, fence, total, pace, ...progress } = operation.progress as MoveProgress;
  const perSecond = config.moveDocumentsPerSecond;
  const startedMs = performance.now();
  let { upTo, copied, batch: size = nextBatch(batchFirst / 2, 0, perSecond), by_hand: byHand = 0 } = progress;
  do {
    const batchMs = performance.now();
    await keepHeld();
    const how = { documentsMax: size, ...((upTo === null || byHand > 0) && { byHand: true }) };
    const batch = await copyBatch(deployments, from, stage, upTo, how, assertHeld);
    await writeNotes(db, operation._id, batch.refused);
    copied += batch.copied;
    if (batch.next === null) return await toDrain(deps, operation, { copied });
    upTo = batch.next;
    await saveCheckpoint(deployments, { placement: stage, checkpoint: { upTo, copied } }, fence);
    const tookMs = performance.now() - batchMs;
    size = nextBatch(size, tookMs, perSecond);
    byHand = batch.isSlow ? byHandBatches : Math.max(0, byHand - 1);
    if (perSecond > 0) await sleep(Math.max(0, (batch.copied / perSecond) * 1000 - tookMs));
  } while (performance.now() - startedMs < recordEveryMs);
  const paced = { ...pace, done: copied, left: leftOf(total, copied) };
  return { go: "copy", progress: { upTo, copied, batch: size, by_hand: byHand, pace: paced } };
};

const toDrain = async (deps: StepDeps, { _id }: MoveOperation, progress: Partial<MoveProgress>) => {
  const pace = paceFrom(deps, "drain", 0, await countNotes(deps.db, _id));
  return { go: "drain", progress: { ...progress, pace, fewest: null, vain: 0 } };
};

const batchFirst = 500;
const batchMax = 2_000;
const [quickMs, slowMs] = [250, 750];
/** So many batches are copied by hand, once the server was slow with one, before it tries again. */
const byHandBatches = 10;

/**
 * Batches grow while they are quick and shrink when they are slow: neither the lease nor the database's other work should
 * wait for one. With a pace that was set none has more than that allows in a quarter of a second.
 */
function nextBatch(size: number, tookMs: number, perSecond: number): number {
  const wanted = tookMs < quickMs ? size * 2 : tookMs > slowMs ? Math.ceil(size / 2) : size;
  const most = perSecond > 0 ? Math.min(batchMax, Math.ceil(perSecond / 4)) : batchMax;
  return Math.min(Math.max(wanted, batchFirst / 4), most);
}

/** So long one run of `drain` goes on: before it can work off anything it has to wait for a lease. */
const drainMs = 3_000;
/** So many runs in turn may leave no fewer notes than there were before: then more is written than can be copied. */
const vainMax = 10;

const drainNotes: MoveStep = async (deps, operation) => {
  const { from, stage, verified, copied, pace, ...before } = operation.progress as MoveProgress;
  const sides = { source: from, stage, operationId: operation._id, verified };
  const left = await drain(deps, sides, () => moveLeasesLastMs(deps), drainMs, deps);
  const isFewer = before.fewest === null || left < before.fewest;
  const looks = { fewest: isFewer ? left : before.fewest, vain: isFewer ? 0 : before.vain + 1 };
  // Between here and the gate it may be written to for a while, again and again.
  if (looks.vain >= vainMax) {
    const because = "more is written than can be copied, or some documents keep differing";
    throw new Error(`${left} changes are left to copy and the number isn't going down: ${because}`);
  }
  if (left > notesInGateMax) {
    const paced = { ...pace, done: pace.done + (pace.left ?? left) - left, left };
    return { go: "drain", progress: { ...looks, pace: paced } };
  }
  return verified
    ? { go: "gate", progress: looks }
    : { go: "verify", progress: { ...looks, pace: paceFrom(deps, "verify", 0, copied) } };
};

/** Compares everything while the gate is still open. What was written meanwhile may differ, and is noted by its writer. */
const verify: MoveStep = async (deps, operation) => {
  const { db, deployments, keepHeld } = deps;
  const { from, stage, copied, pace, ...progress } = operation.progress as MoveProgress;
  const startedMs = performance.now();
  let { compared_to: at, compared } = progress;
  do {
    await keepHeld();
    const batch = await compareBatch(deployments, from, stage, at);
    if (!batch) return await toDrain(deps, operation, { compared, verified: true });
    await writeNotes(db, operation._id, batch.differing);
    at = batch.at;
    compared += batch.documents;
  } while (performance.now() - startedMs < recordEveryMs);
  const paced = { ...pace, done: compared, left: leftOf(copied, compared) };
  return { go: "verify", progress: { compared_to: at, compared, pace: paced } };
};

/**
 * Takes a tenant to a place of another tier while it is written to (spec: section 5; `test/model` shows what each rule is
 * there for).
 *
 *   plan → journal → copy → drain → verify → drain → gate → clean
 *
 * In `journal` all processes learn to note what they write; `copy` goes through the documents; `drain` copies once more
 * what was noted; `verify` compares both sides, once, and notes what differs; in the `gate` writers wait while the rest is
 * copied and compared, and the cutover, one compare-and-set, is the switch. Whoever takes over goes back to `journal` with a
 * stage of its own.
 */
export const move: Flow<MoveInput, MoveProgress> = {
  first: "plan",
  acts: ({ input }) => [{ act: "move.end", details: { tier: String(input.tier) } }],
  asked: ({ input }) => ({ act: "move.start", details: { tier: String(input.tier) } }),
  view: ({ input, progress: { from, to, total, copied, pause_ms, pace } }) => ({
    from: from?.tier,
    to: to?.tier ?? input.tier,
    documents_total: total,
    documents_copied: copied,
    write_pause_ms: pause_ms,
    pace,
  }),
  places: ({ from, to, stage, abandoned = [] }) =>
    [from, to, stage, ...abandoned].filter((place) => place !== undefined),
  keys: ({ keys = [] }) => keys.map(String),
  buildsIndexes: true,
  takesNotes: true,
  removeLeft: removeMoved,
  enter,
  // Ids of documents.
  temporary: ["progress.upTo", "progress.compared_to"],
  steps: {
    plan,
    journal,
    copy: ofThisDriver(copy),
    drain: ofThisDriver(drainNotes),
    verify: ofThisDriver(verify),
    gate: ofThisDriver(gate),
    clean,
    cancel: cancelMove,
  },
  undo: { plan: "cancel", journal: "cancel", copy: "cancel", drain: "cancel", verify: "cancel", gate: "cancel" },
  gated: ["gate"],
  isLong: true,
};
