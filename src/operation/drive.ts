import { setTimeout as sleep } from "node:timers/promises";
import type { Document, ObjectId } from "mongodb";
import type { Deps } from "../deps.ts";
import { failure } from "../lib/failure.ts";
import type { Operation } from "./operation.ts";
import { advance, claim, findById, findOpen, finish, release, start } from "./store.ts";

export type OperationFailure = "operation_pending";

export type DriveDeps = Pick<Deps, "db" | "now" | "log" | "config" | "flows" | "owner" | "onStep">;

/** How long an operation that hit an error rests before anyone tries again. */
const pauseAfterErrorMs = 500;

/**
 * Runs the steps of an operation whose lease this process holds, until it ends, the lease is lost or the budget is used up.
 * @returns the operation as this process knew it last; `status` says whether it ended.
 * @throws what a step threw, after it was recorded: the operation stays open and any process may try again.
 */
export async function drive(deps: DriveDeps, claimed: Operation, budgetMs: number): Promise<Operation> {
  const { db, config, flows, onStep } = deps;
  const deadline = performance.now() + budgetMs;
  let operation = claimed;
  while (operation.status === "running") {
    if (performance.now() > deadline) {
      await release(db, operation, 0, null);
      return operation;
    }
    const step = flows[operation.kind]?.steps[operation.step];
    if (!step) throw new Error(`No step ${operation.kind}/${operation.step} in this version`);
    let recorded: Operation | null;
    try {
      await onStep?.(operation, "before");
      const next = await step(deps, operation);
      await onStep?.(operation, "after");
      if ("go" in next) {
        recorded = await advance(db, operation, next.go, next.progress ?? {}, config.operationLeaseMs);
      } else {
        recorded = await finish(db, operation, "failed" in next ? next.failed : undefined);
      }
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      deps.log.warn(
        { operation_id: operation._id, kind: operation.kind, step: operation.step, err: error },
        "step failed",
      );
      // If this can't be written either, the lease runs out by itself.
      await release(db, operation, pauseAfterErrorMs, message).catch(() => {});
      throw error;
    }
    if (!recorded) return operation;
    operation = recorded;
    await onStep?.(operation, "recorded");
  }
  return operation;
}

/** Takes over operations that nobody drives any more, one after the other; returns how many. */
export async function driveAbandoned(deps: DriveDeps, budgetMs: number): Promise<number> {
  for (let count = 0; ; count++) {
    const operation = await claim(deps.db, {}, deps.owner, deps.config.operationLeaseMs);
    if (!operation) return count;
    deps.log.info({ operation_id: operation._id, kind: operation.kind, step: operation.step }, "operation taken over");
    // A step that fails has been logged and rests; the others must not wait for it.
    await drive(deps, operation, budgetMs).catch(() => {});
  }
}

const pollMs = 25;

/** Waits for the organization's open operation to end and drives it if nobody else does; false when time runs out. */
export async function settle(deps: DriveDeps, organizationId: ObjectId, deadline: number): Promise<boolean> {
  for (;;) {
    const open = await findOpen(deps.db, organizationId);
    if (!open) return true;
    const remaining = deadline - performance.now();
    if (remaining <= 0) return false;
    const abandoned = await claim(
      deps.db,
      { organization_id: organizationId },
      deps.owner,
      deps.config.operationLeaseMs,
    );
    if (abandoned) await drive(deps, abandoned, remaining);
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
 * @throws Failure with the code that the operation failed with, or `operation_pending` when it didn't end within the budget;
 * then it goes on without the caller.
 */
export async function run(deps: DriveDeps, wanted: NewOperation, budgetMs: number): Promise<Operation> {
  const deadline = performance.now() + budgetMs;
  const first = deps.flows[wanted.kind]?.first;
  if (!first) throw new Error(`No flow for ${wanted.kind}`);
  let operation: Operation | null = null;
  while (!operation) {
    operation = await start(deps.db, { ...wanted, step: first }, deps.owner, deps.config.operationLeaseMs);
    if (!operation && !(await settle(deps, wanted.organization_id, deadline))) throw pending();
  }
  operation = await drive(deps, operation, deadline - performance.now());
  if (operation.status === "running" && (await settle(deps, wanted.organization_id, deadline))) {
    // Another process ended what this one lost the lease of.
    operation = (await findById(deps.db, wanted._id)) ?? operation;
  }
  if (operation.status === "running") throw pending();
  if (operation.failure) throw failure(operation.failure.code, operation.failure.detail);
  return operation;
}
