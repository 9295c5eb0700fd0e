import type { Deps } from "../deps.ts";
import { failure } from "../lib/failure.ts";
import type { Operation, StepDeps } from "./operation.ts";
import { extend } from "./store.ts";

export type OperationFailure = "operation_pending" | "operation_open" | "operation_not_found" | "operation_state";

export type HoldDeps = Pick<Deps, "db" | "config" | "patience">;

/** An operation and until when this process holds its lease, by its own monotonic clock in milliseconds. */
export type Held = { operation: Operation; untilMs: number };

/** What a step may ask of the lease under which it runs. */
export type Lease = Pick<StepDeps, "assertHeld" | "keepHeld" | "proveHeld" | "mayTake">;

export const pending = (cause?: unknown) =>
  failure<OperationFailure>("operation_pending", "The organization is being changed; try again shortly.", {
    retryAfterSeconds: 1,
    cause,
  });

/** Counted from before it was asked for: so the lease ends here no later than at the database. */
export async function holding(
  deps: HoldDeps,
  ask: (leaseMs: number) => Promise<Operation | null>,
): Promise<Held | null> {
  const leaseMs = deps.config.operationLeaseMs;
  const askedMs = performance.now();
  const operation = await ask(leaseMs);
  return operation && { operation, untilMs: askedMs + leaseMs };
}

/** Asks for the lease anew. @throws Failure `operation_pending` when it was lost */
async function prove(deps: HoldDeps, held: Held): Promise<void> {
  const leaseMs = deps.config.operationLeaseMs;
  const askedMs = performance.now();
  if (!(await extend(deps.db, held.operation, leaseMs))) throw pending();
  held.untilMs = askedMs + leaseMs;
}

/** Often enough that one slow statement in between does no harm. */
const isToBeKept = (deps: HoldDeps, { untilMs }: Held) =>
  untilMs - performance.now() < deps.config.operationLeaseMs / 2;

/** Longer than the longest statement that doesn't say how long it takes. */
const patienceMs = 90_000;

/**
 * Runs a step and holds the lease as long as it gets on: an index may take minutes to build. A process that stands still holds
 * nothing, and one that has lost the lease doesn't get it back. A step that hasn't asked for anything of its lease for longer
 * than it said waits for an answer that doesn't come: it is given up, and whatever it does afterwards, it holds nothing.
 */
export async function whileHolding<T>(deps: HoldDeps, held: Held, run: (lease: Lease) => Promise<T>): Promise<T> {
  const stuck = Promise.withResolvers<never>();
  const patience = deps.patience?.stepMs ?? patienceMs;
  let deadlineMs = performance.now() + patience;
  let isOver = false;
  const gotOn = (mayTakeMs = 0) => {
    if (isOver) throw pending();
    deadlineMs = performance.now() + mayTakeMs + patience;
  };
  const lease: Lease = {
    mayTake: gotOn,
    assertHeld() {
      gotOn();
      if (performance.now() > held.untilMs) throw pending();
    },
    async proveHeld() {
      gotOn();
      await prove(deps, held);
    },
    async keepHeld() {
      gotOn();
      if (isToBeKept(deps, held)) await prove(deps, held);
    },
  };
  const beating = setInterval(() => {
    if (performance.now() > deadlineMs) stuck.reject(new Error("the step got no answer and was abandoned"));
    else if (isToBeKept(deps, held)) void prove(deps, held).catch(() => {});
  }, deps.config.operationLeaseMs / 4);
  try {
    return await Promise.race([run(lease), stuck.promise]);
  } finally {
    isOver = true;
    clearInterval(beating);
  }
}

/** Holds the lease of an operation that waits for its turn in this process, for a while. @returns what ends that */
export function park(deps: HoldDeps, held: Held): () => void {
  const deadlineMs = performance.now() + (deps.patience?.stepMs ?? patienceMs);
  const beating = setInterval(() => {
    if (performance.now() > deadlineMs) clearInterval(beating);
    else if (isToBeKept(deps, held)) void prove(deps, held).catch(() => clearInterval(beating));
  }, deps.config.operationLeaseMs / 4);
  return () => clearInterval(beating);
}
