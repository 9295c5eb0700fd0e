import type { Document, Filter, ObjectId } from "mongodb";
import type { Deps } from "../deps.ts";
import { failure, isFailure } from "../lib/failure.ts";
import { answers, isLate, isUnauthorized, isUnavailable, retryDeadlock } from "../lib/mongo/mongo.ts";
import { wordsOf } from "../lib/scrub.ts";
import { type Held, holding, type OperationFailure, whileHolding } from "./hold.ts";
import { takeOver } from "./known.ts";
import type { Next, Operation, OperationEnd, OperationKind } from "./operation.ts";
import { advance, decide, finish, recordGuard, release, releaseFailed, start } from "./store.ts";

export type { OperationFailure } from "./hold.ts";

export type DriveDeps = Pick<
  Deps,
  | "db"
  | "deployments"
  | "now"
  | "log"
  | "config"
  | "flows"
  | "owner"
  | "inTurn"
  | "presence"
  | "origin"
  | "onStep"
  | "onEnd"
  | "patience"
>;

/** How long an operation that hit an error rests before anyone tries again: longer each time that it isn't the database. */
const pauseMsOf = (failures: number): number => Math.min(10_000, 500 * 2 ** failures);

/** What can't go on by itself stops, and waits for an operator: after so many failures of its steps. */
const attemptsMax = 8;

/** An error that no other try would change: the operation stops at once. @param why is shown to operators */
export const stopping = (why: string): Error & { stops: true } =>
  Object.assign(new Error(why), { stops: true as const });

/** Runs the next step and records what it made of the operation, an end too; null when the lease was lost. */
async function takeStep(deps: DriveDeps, current: Held): Promise<Held | null> {
  const { operation } = current;
  const { steps, undo } = deps.flows[operation.kind] ?? {};
  const undoing = operation.cancel_requested && undo?.[operation.step];
  if (undoing) return await goOn(deps, operation, { go: undoing });
  const step = steps?.[operation.step];
  if (!step) throw new Error(`This version has no step ${operation.kind}/${operation.step}`);
  await deps.onStep?.(operation, "before");
  const next = await whileHolding(deps, current, (lease) => step({ ...deps, ...lease }, operation));
  await deps.onStep?.(operation, "after");
  if (!("go" in next)) return await holding(deps, (leaseMs) => decide(deps.db, operation, endOf(next), leaseMs));
  return await goOn(deps, operation, next);
}

async function goOn(
  deps: DriveDeps,
  operation: Operation,
  { go, progress = {} }: Extract<Next, { go: string }>,
): Promise<Held | null> {
  const held = await holding(deps, (leaseMs) => advance(deps.db, operation, go, progress, leaseMs));
  if (held) await deps.onStep?.(held.operation, "recorded");
  return held;
}

/** Tells of an end that is decided, so that it is the same whoever tells of it, and closes the operation; null as above. */
async function close(deps: DriveDeps, current: Held, end: OperationEnd): Promise<Held | null> {
  const { operation } = current;
  await whileHolding(deps, current, async () => deps.onEnd?.(operation, end));
  const temporary = deps.flows[operation.kind]?.temporary ?? [];
  const held = await holding(deps, () => finish(deps.db, operation, end, temporary));
  if (held) await deps.onStep?.(held.operation, "recorded");
  return held;
}

function endOf(next: Exclude<Next, { go: string }>): OperationEnd {
  if ("failed" in next) return { status: "failed", failure: next.failed };
  return { status: "cancelled" in next ? "cancelled" : "succeeded" };
}

/** Keeps out the drivers that came before, where the flow has a way to; null when the lease was lost. */
async function enter(deps: DriveDeps, held: Held): Promise<Held | null> {
  const { operation } = held;
  const flow = deps.flows[operation.kind];
  if (!flow?.enter) return held;
  const guard = await whileHolding(deps, held, (lease) => flow.enter!({ ...deps, ...lease }, operation));
  return await holding(deps, (leaseMs) => recordGuard(deps.db, operation, guard, leaseMs));
}

/** Whether an error is the step's own. A statement that took too long is, when the database answers others. */
export async function isOfStep({ db }: DriveDeps, error: unknown): Promise<boolean> {
  // A lease that ran out while the database was slow is no fault of the step.
  if (isFailure(error) && error.failure === "operation_pending") return false;
  return !isUnavailable(error) || (isLate(error) && (await answers(db)));
}

/** What operators are shown of an error, where that may name a document and so goes into no log. */
const shownOf = (error: unknown): string | undefined => (error as { shown?: string } | null)?.shown;

/** Says what went wrong and lets others have the operation; false when the lease was lost. */
async function putDown(deps: DriveDeps, operation: Operation, error: unknown): Promise<boolean> {
  return await releaseFailed(deps.db, operation, {
    pauseMs: (deps.patience?.pauseMs ?? pauseMsOf)(operation.attempts ?? 0),
    message: shownOf(error) ?? wordsOf(error),
    counts: await isOfStep(deps, error),
    stops: (error as { stops?: unknown } | null)?.stops === true,
    attemptsMax: deps.patience?.attemptsMax ?? attemptsMax,
  });
}

/** So long more than its time one that has the gate closed may take. */
const gatedMsMax = 10_000;

/** What a driver makes of an operation in one go: its state as it knew it last and, when it isn't over, the lease that it holds still. */
export type Driven = { operation: Operation; held: Held | null };

/**
 * Runs the steps of an operation whose lease this process holds, until it ends, the lease is lost or the time is used up. One
 * that has its end, or the gate closed, is driven on.
 *
 * @param isNew it has just been claimed
 * @throws what a step threw, after it was recorded: the operation stays open and any process may try again.
 */
export async function driveFor(
  deps: DriveDeps,
  taken: Held,
  isNew: boolean,
  budgetMs: number,
  stopping?: AbortSignal,
): Promise<Driven> {
  const deadline = performance.now() + budgetMs;
  let last = taken.operation;
  try {
    let held = isNew ? await retryDeadlock(() => enter(deps, taken)) : taken;
    while (held) {
      last = held.operation;
      if (last.status !== "running") break;
      const { ending, kind, step } = last;
      const isGated = deps.flows[kind]?.gated?.includes(step) && performance.now() < deadline + gatedMsMax;
      if (!ending && !isGated && (performance.now() > deadline || stopping?.aborted)) return { operation: last, held };
      const now = held;
      held = await retryDeadlock(() => (ending ? close(deps, now, ending) : takeStep(deps, now)));
    }
    return { operation: last, held: null };
  } catch (error) {
    deps.log.warn({ operation_id: last._id, kind: last.kind, step: last.step, err: error }, "step failed");
    // If this can't be written either, the lease runs out by itself; with the database away the caller doesn't wait for it.
    const released = putDown(deps, last, error).catch(() => null);
    if (!isUnavailable(error) && (await released) === false) {
      // The lease was lost: another driver's doing is what went wrong, and its outcome is what counts.
      return { operation: last, held: null };
    }
    throw isUnauthorized(error) ? refused(error) : error;
  }
}

/** It is recorded, so it ends once the right is there. */
const refused = (cause: unknown) =>
  failure<OperationFailure>(
    "operation_pending",
    "The change is not finished yet: the service's database user lacks a right, which the service's log names. Once the right is granted, the change is completed or undone.",
    { retryAfterSeconds: 60, cause },
  );

/** Lets others have at once what isn't over yet. */
export async function drive(
  deps: DriveDeps,
  taken: Held,
  budgetMs: number,
  stopping?: AbortSignal,
): Promise<Operation> {
  const { operation, held } = await driveFor(deps, taken, true, budgetMs, stopping);
  if (held) await release(deps.db, operation, 0);
  return operation;
}

/** Takes an operation over that nobody drives any more; null when there is none. */
export async function takeAbandoned(deps: DriveDeps, which: Filter<Operation>): Promise<Held | null> {
  const held = await takeOver(deps, which);
  if (!held) return null;
  const { _id, kind, step } = held.operation;
  deps.log.info({ operation_id: _id, kind, step }, "operation taken over");
  return held;
}

/** Takes over operations that nobody drives any more, all or one organization's, one after the other; returns how many. */
export async function driveAbandoned(
  deps: DriveDeps,
  budgetMs: number,
  stopping?: AbortSignal,
  which: { organization_id?: ObjectId } = {},
): Promise<number> {
  for (let count = 0; ; count++) {
    if (stopping?.aborted) return count;
    const held = await takeAbandoned(deps, which);
    if (!held) return count;
    // A step that fails has been logged and rests; the others must not wait for it.
    await drive(deps, held, budgetMs, stopping).catch(() => {});
  }
}

export const originOf = ({ origin }: DriveDeps) => origin && { origin };

export type NewOperation = {
  _id: ObjectId;
  organization_id: ObjectId;
  kind: OperationKind;
  input: Document;
  secret?: Document;
};

/** Records an operation for a worker to drive. Null when the organization has another one open. */
export function enqueue(deps: DriveDeps, wanted: NewOperation): Promise<Operation | null> {
  const step = deps.flows[wanted.kind]?.first;
  if (!step) throw new Error(`No flow for ${wanted.kind}`);
  return start(deps.db, { ...wanted, ...originOf(deps), step }, deps.owner, 0);
}
