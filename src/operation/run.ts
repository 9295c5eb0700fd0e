import { setTimeout as sleep } from "node:timers/promises";
import type { Document, ObjectId } from "mongodb";
import { failure, isFailure } from "../lib/failure.ts";
import { isUnavailable } from "../lib/mongo/mongo.ts";
import { drive, type DriveDeps, isOfStep, type NewOperation, originOf } from "./drive.ts";
import { type Held, holding, type OperationFailure, pending } from "./hold.ts";
import { isKnown, takeOver } from "./known.ts";
import { isFailing, type Operation } from "./operation.ts";
import { findById, findOpen, requestCancel, resume, start, supersede } from "./store.ts";

const pollMs = 25;

/**
 * Waits for the organization's open operation to end and drives it if nobody else does; false when time runs out, when it
 * fails, and when it has stopped. Failing upkeep is put aside.
 */
async function settle(deps: DriveDeps, organization_id: ObjectId, deadline: number): Promise<boolean> {
  for (;;) {
    const open = await findOpen(deps.db, organization_id);
    if (!open) return true;
    if (isFailing(open) && deps.flows[open.kind]?.givesWay && !open.cancel_requested) {
      await requestCancel(deps.db, { _id: open._id });
      continue;
    }
    // It waits for an operator, or for a process of the version that knows it.
    const isAbandoned = open.status === "stopped" || (!isKnown(deps.flows, open) && open.lease.until <= deps.now());
    if (isAbandoned) return false;
    const remaining = deadline - performance.now();
    if (remaining <= 0) return false;
    // A claim writes, and many who wait would hinder the one who works: so they ask only when the lease seems to have run
    // out by their own clock. Whether it has, the database decides.
    const held = open.lease.until <= deps.now() && (await takeOver(deps, { organization_id }));
    if (!held) await sleep(pollMs);
    else if (!(await drive(deps, held, remaining).then(() => true, unlessAway(deps)))) return false;
  }
}

/** A failure of another's operation is none of who waits for it. @throws when the database is away, which is */
const unlessAway =
  (deps: DriveDeps) =>
  async (error: unknown): Promise<false> => {
    if (isUnavailable(error) && !(await isOfStep(deps, error))) throw error;
    return false;
  };

/**
 * Records an operation and drives it to its end, after those of the same organization that are open.
 *
 * @param wins it waits for no other for long: one that fails, or doesn't end soon, is superseded
 * @throws Failure with the code that the operation failed with, or `operation_pending` when it didn't end within the budget;
 * then it goes on without the caller.
 */
export async function run(deps: DriveDeps, wanted: NewOperation, budgetMs: number, wins = false): Promise<Operation> {
  const deadline = performance.now() + budgetMs;
  // Those that win don't wait for those that might not end, only for each other.
  const key = wanted.organization_id.toHexString() + (wins ? ` ${wanted.kind}` : "");
  const operation = await deps.inTurn(key, budgetMs, () => runNow(deps, wanted, deadline, wins));
  if (!operation) throw pending();
  return operation;
}

async function runNow(deps: DriveDeps, wanted: NewOperation, deadline: number, wins: boolean): Promise<Operation> {
  const step = deps.flows[wanted.kind]?.first;
  if (!step) throw new Error(`No flow for ${wanted.kind}`);
  const by = { ...wanted, ...originOf(deps), step };
  let held: Held | null = null;
  while (!held) {
    held = await holding(deps, (leaseMs) => start(deps.db, by, deps.owner, leaseMs));
    if (!held && wins) held = await takeItsPlace(deps, by, deadline);
    else if (!held && !(await settle(deps, wanted.organization_id, deadline))) throw pending();
  }
  const { _id } = held.operation;
  let operation = await drive(deps, held, deadline - performance.now()).catch((error) => {
    // It goes on without the caller, who can't do anything about it.
    throw isUnavailable(error) || isFailure(error) ? error : pending(error);
  });
  if (operation.status === "running" && (await settle(deps, wanted.organization_id, deadline))) {
    // Another process ended what this one lost the lease of.
    operation = (await findById(deps.db, _id)) ?? operation;
  }
  // A deletion has come in between.
  if (operation.status === "running" || operation.kind !== wanted.kind) throw pending();
  if (operation.failure) {
    const { code, detail, members } = operation.failure;
    throw failure(code, detail, { ...(members && { members }) });
  }
  if (operation.status === "cancelled") {
    const detail = "The request was interrupted and undone; send it again.";
    throw failure<OperationFailure>("operation_pending", detail, { retryAfterSeconds: 1 });
  }
  return operation;
}

/** So long a deletion waits for an operation that gets on. */
const politeMs = 5_000;

/**
 * Waits a while for the organization's open operation, unless that fails, and then puts another into its place. Null when it
 * has ended, so that the other can be started.
 */
async function takeItsPlace(
  deps: DriveDeps,
  by: NewOperation & { step: string; origin?: Document },
  deadline: number,
): Promise<Held | null> {
  const { organization_id, kind, step, input, origin } = by;
  const before = await findOpen(deps.db, organization_id);
  if (!before) return null;
  if (before.kind === kind) {
    if (before.status === "stopped") await resume(deps.db, before._id);
    if (await settle(deps, organization_id, deadline)) return null;
    throw pending();
  }
  const politeUntil = Math.min(deadline, performance.now() + politeMs);
  if (!isFailing(before) && (await settle(deps, organization_id, politeUntil))) return null;
  const open = await findOpen(deps.db, organization_id);
  if (!open || open.kind === kind) return null;
  // What it has done, and where, is known to the version that began it.
  if (!isKnown(deps.flows, open)) throw pending();
  deps.log.warn({ operation_id: open._id, kind: open.kind, step: open.step, by: kind }, "operation superseded");
  const taking = { kind, step, input, ...(origin && { origin }) };
  return await holding(deps, (leaseMs) => supersede(deps.db, open, taking, deps.owner, leaseMs));
}
