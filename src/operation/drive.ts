import { setTimeout as sleep } from "node:timers/promises";
import type { Document, ObjectId } from "mongodb";
import type { Deps } from "../deps.ts";
import { failure, isFailure } from "../lib/failure.ts";
import { isUnavailable, retryDeadlock } from "../lib/mongo.ts";
import { scrub } from "../lib/scrub.ts";
import type { Next, Operation, OperationEnd, StepDeps } from "./operation.ts";
import {
  advance,
  claim,
  decide,
  extend,
  findById,
  findOpen,
  finish,
  recordGuard,
  release,
  releaseFailed,
  start,
} from "./store.ts";

export type OperationFailure = "operation_pending" | "operation_open" | "operation_not_found" | "operation_state";

export type DriveDeps = Pick<
  Deps,
  "db" | "now" | "log" | "config" | "flows" | "owner" | "inTurn" | "presence" | "origin" | "onStep" | "onEnd"
>;

/** How long an operation that hit an error rests before anyone tries again: longer each time that it isn't the database. */
const pauseAfterErrorMs = 500;
const pauseMsMax = 10_000;

/** An operation and until when this process holds its lease, by its own monotonic clock in milliseconds. */
type Held = { operation: Operation; untilMs: number };

/** What a step may ask of the lease under which it runs. */
function leaseOf(deps: DriveDeps, held: Held): Pick<StepDeps, "assertHeld" | "keepHeld" | "proveHeld"> {
  const proveHeld = async () => {
    const leaseMs = deps.config.operationLeaseMs;
    const askedMs = performance.now();
    if (!(await extend(deps.db, held.operation, leaseMs))) throw pending();
    held.untilMs = askedMs + leaseMs;
  };
  return {
    proveHeld,
    assertHeld() {
      if (performance.now() > held.untilMs) throw pending();
    },
    async keepHeld() {
      // Often enough that one slow statement in between does no harm.
      if (held.untilMs - performance.now() < deps.config.operationLeaseMs / 2) await proveHeld();
    },
  };
}

/** Counted from before it was asked for: so the lease ends here no later than at the database. */
async function holding(deps: DriveDeps, ask: (leaseMs: number) => Promise<Operation | null>): Promise<Held | null> {
  const leaseMs = deps.config.operationLeaseMs;
  const askedMs = performance.now();
  const operation = await ask(leaseMs);
  return operation && { operation, untilMs: askedMs + leaseMs };
}

/**
 * Runs a step and holds the lease as long as it takes: an index may take minutes to build. A process that stands still holds
 * nothing, and one that has lost the lease doesn't get it back.
 */
async function whileHolding<T>(
  deps: DriveDeps,
  held: Held,
  run: (lease: ReturnType<typeof leaseOf>) => Promise<T>,
): Promise<T> {
  const lease = leaseOf(deps, held);
  const beating = setInterval(() => void lease.keepHeld().catch(() => {}), deps.config.operationLeaseMs / 4);
  try {
    return await run(lease);
  } finally {
    clearInterval(beating);
  }
}

/** Runs the next step and records what it made of the operation, an end too; null when the lease was lost. */
async function takeStep(deps: DriveDeps, current: Held): Promise<Held | null> {
  const { operation } = current;
  const step = deps.flows[operation.kind]?.steps[operation.step];
  if (!step) throw new Error(`No step ${operation.kind}/${operation.step} in this version`);
  await deps.onStep?.(operation, "before");
  const next = await whileHolding(deps, current, (lease) => step({ ...deps, ...lease }, operation));
  await deps.onStep?.(operation, "after");
  if (!("go" in next)) return await holding(deps, (leaseMs) => decide(deps.db, operation, endOf(next), leaseMs));
  const held = await holding(deps, (leaseMs) => advance(deps.db, operation, next.go, next.progress ?? {}, leaseMs));
  if (held) await deps.onStep?.(held.operation, "recorded");
  return held;
}

/** Tells of an end that is decided, so that it is the same whoever tells of it, and closes the operation; null as above. */
async function close(deps: DriveDeps, current: Held, end: OperationEnd): Promise<Held | null> {
  const { operation } = current;
  await whileHolding(deps, current, async () => deps.onEnd?.(operation, end));
  const held = await holding(deps, () => finish(deps.db, operation, end));
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
  const guard = await flow.enter({ ...deps, ...leaseOf(deps, held) }, operation);
  return await holding(deps, (leaseMs) => recordGuard(deps.db, operation, guard, leaseMs));
}

/**
 * Runs the steps of an operation whose lease this process holds, until it ends, the lease is lost or the budget is used up.
 *
 * @returns the operation as this process knew it last; `status` says whether it ended.
 * @throws what a step threw, after it was recorded: the operation stays open and any process may try again.
 */
async function drive(deps: DriveDeps, taken: Held, budgetMs: number, stopping?: AbortSignal): Promise<Operation> {
  const deadline = performance.now() + budgetMs;
  let last = taken.operation;
  try {
    let held = await retryDeadlock(() => enter(deps, taken));
    while (held) {
      last = held.operation;
      if (last.status !== "running") break;
      const { ending } = last;
      // What is left of one that has its end is short, and its caller can be told how it went.
      if (!ending && (performance.now() > deadline || stopping?.aborted)) {
        await release(deps.db, last, 0);
        break;
      }
      const now = held;
      held = await retryDeadlock(() => (ending ? close(deps, now, ending) : takeStep(deps, now)));
    }
    return last;
  } catch (error) {
    const message = scrub(error instanceof Error ? error.message : String(error));
    deps.log.warn({ operation_id: last._id, kind: last.kind, step: last.step, err: error }, "step failed");
    // If this can't be written either, the lease runs out by itself; with the database away the caller doesn't wait for it.
    const released = releaseFailed(deps.db, last, {
      pauseMs: Math.min(pauseMsMax, pauseAfterErrorMs * 2 ** (last.attempts ?? 0)),
      message,
      // A lease that ran out while the database was slow is no fault of the step.
      counts: !isUnavailable(error) && !(isFailure(error) && error.failure === "operation_pending"),
      attemptsMax: deps.flows[last.kind]?.attemptsMax,
    }).catch(() => null);
    if (!isUnavailable(error) && (await released) === false) {
      // The lease was lost: another driver's doing is what went wrong, and its outcome is what counts.
      return last;
    }
    throw error;
  }
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
    const held = await holding(deps, (leaseMs) => claim(deps.db, which, deps.owner, leaseMs));
    if (!held) return count;
    const { _id, kind, step } = held.operation;
    deps.log.info({ operation_id: _id, kind, step }, "operation taken over");
    // A step that fails has been logged and rests; the others must not wait for it.
    await drive(deps, held, budgetMs, stopping).catch(() => {});
  }
}

const originOf = ({ origin }: DriveDeps) => origin && { origin };

/** Records an operation for a worker to drive. Null when the organization has another one open. */
export function enqueue(deps: DriveDeps, wanted: NewOperation): Promise<Operation | null> {
  const step = deps.flows[wanted.kind]?.first;
  if (!step) throw new Error(`No flow for ${wanted.kind}`);
  return start(deps.db, { ...wanted, ...originOf(deps), step }, deps.owner, 0);
}

const pollMs = 25;

/** Waits for the organization's open operation to end and drives it if nobody else does; false when time runs out. */
async function settle(deps: DriveDeps, organization_id: ObjectId, deadline: number): Promise<boolean> {
  for (;;) {
    const open = await findOpen(deps.db, organization_id);
    if (!open) return true;
    // It waits for an operator.
    if (open.status === "stopped") return false;
    const remaining = deadline - performance.now();
    if (remaining <= 0) return false;
    // A claim writes, and many who wait would hinder the one who works: so they ask only when the lease seems to have run
    // out by their own clock. Whether it has, the database decides.
    const held =
      open.lease.until <= deps.now() &&
      (await holding(deps, (leaseMs) => claim(deps.db, { organization_id }, deps.owner, leaseMs)));
    if (held) await drive(deps, held, remaining);
    else await sleep(pollMs);
  }
}

export type NewOperation = {
  _id: ObjectId;
  organization_id: ObjectId;
  kind: string;
  input: Document;
  secret?: Document;
};

const pending = () =>
  failure("operation_pending", "The organization is being changed; try again shortly.", { retryAfterSeconds: 1 });

/**
 * Records an operation and drives it to its end, after those of the same organization that are open.
 *
 * @throws Failure with the code that the operation failed with, or `operation_pending` when it didn't end within the budget;
 * then it goes on without the caller.
 */
export async function run(deps: DriveDeps, wanted: NewOperation, budgetMs: number): Promise<Operation> {
  const deadline = performance.now() + budgetMs;
  const key = wanted.organization_id.toHexString();
  const operation = await deps.inTurn(key, budgetMs, () => runNow(deps, wanted, deadline));
  if (!operation) throw pending();
  return operation;
}

async function runNow(deps: DriveDeps, wanted: NewOperation, deadline: number): Promise<Operation> {
  const step = deps.flows[wanted.kind]?.first;
  if (!step) throw new Error(`No flow for ${wanted.kind}`);
  let held: Held | null = null;
  while (!held) {
    held = await holding(deps, (leaseMs) =>
      start(deps.db, { ...wanted, ...originOf(deps), step }, deps.owner, leaseMs),
    );
    if (!held && !(await settle(deps, wanted.organization_id, deadline))) throw pending();
  }
  let operation = await drive(deps, held, deadline - performance.now());
  if (operation.status === "running" && (await settle(deps, wanted.organization_id, deadline))) {
    // Another process ended what this one lost the lease of.
    operation = (await findById(deps.db, wanted._id)) ?? operation;
  }
  if (operation.status === "running") throw pending();
  if (operation.failure) throw failure(operation.failure.code, operation.failure.detail);
  return operation;
}
