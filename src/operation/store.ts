import { randomUUID } from "node:crypto";
import type { Collection, Db, Document, Filter, ObjectId } from "mongodb";
import type { Expiring } from "../lib/mongo/expiry.ts";
import { literal } from "../lib/mongo/literal.ts";
import {
  dropOutdatedIndex,
  isDuplicateKey,
  isRivalry,
  isUnnamedDuplicateKey,
  majority,
  retryDeadlock,
  buildIndexes,
  within,
} from "../lib/mongo/mongo.ts";
import type { Operation, OperationEnd, OperationKind } from "./operation.ts";

export const operations = (db: Db): Collection<Operation> => db.collection("operations");

const openIndex = "one_open_per_organization";
/** See `build-turn.ts`. */
export const buildIndex = "one_builds";
const turn = ["builds", "awaits_turn"];
export const operationsExpire: Expiring = { of: operations, field: "finished_at", afterSeconds: 30 * 24 * 60 * 60 };

export async function createOperationIndexes(db: Db): Promise<void> {
  const open = { partialFilterExpression: { open: true } };
  // A version that doesn't know of turns may end an operation that has one: then it isn't open any more.
  const builds = { partialFilterExpression: { builds: true, open: true } };
  await buildIndexes(operations(db), [
    { key: { organization_id: 1 }, name: openIndex, unique: true, ...open },
    { key: { "lease.until": 1 }, name: "open_by_lease", ...open },
    { key: { builds: 1 }, name: buildIndex, unique: true, ...builds },
    // For `list`.
    { key: { organization_id: 1, _id: -1 } },
    { key: { status: 1, _id: -1 } },
    { key: { kind: 1, status: 1, _id: -1 } },
  ]);
  await dropOutdatedIndex(operations(db), "organization_id_1_created_at_-1");
}

/** Which driver writes: nothing matches once another has claimed the operation. */
export const held = ({ _id, lease }: Operation) => ({
  _id,
  open: true as const,
  "lease.owner": lease.owner,
  "lease.fence": lease.fence,
});

// Leases end by the database's clock, the only one that all processes share.
const inMs = (ms: number) => ({ $add: ["$$NOW", ms] });
const appended = (step: string, fence: number | string) => ({
  $concatArrays: ["$history", [{ step: literal(step), at: "$$NOW", fence }]],
});
/** As long as an operation stays at a step, its history does. */
const appendedIfNew = (step: string, fence: string) => ({
  $cond: [{ $eq: ["$step", literal(step)] }, "$history", appended(step, fence)],
});

type New = Pick<Operation, "_id" | "organization_id" | "kind" | "step" | "input" | "secret" | "origin">;

/** Records a new operation with its lease already held; null when the organization has another one open. */
export async function start(db: Db, operation: New, owner: string, leaseMs: number): Promise<Operation | null> {
  const { _id, ...rest } = operation;
  const fields: Document = {
    ...Object.fromEntries(Object.entries(rest).map(([name, value]) => [name, literal(value)])),
    status: "running",
    open: true,
    progress: literal({}),
    lease: { owner: literal(owner), token: randomUUID(), until: inMs(leaseMs), fence: 1 },
    error: null,
    history: [{ step: literal(operation.step), at: "$$NOW", fence: 1 }],
    created_at: "$$NOW",
  };
  try {
    return await retryDeadlock(() =>
      operations(db).findOneAndUpdate({ _id }, [{ $set: fields }], {
        upsert: true,
        returnDocument: "after",
        ...within(),
      }),
    );
  } catch (error) {
    // It has no turn, and its `_id` is new: no other unique index is in its way. Where rivals are in each other's way, one of them has it.
    if (isDuplicateKey(error, openIndex) || isUnnamedDuplicateKey(error) || isRivalry(error)) return null;
    throw error;
  }
}

/**
 * Takes over an open operation whose lease has run out, the one that ran out first; null when there is none.
 * FerretDB knows `$$NOW` in an update only, not in a filter: so the update decides, and a token says whether it did.
 */
export async function claim(
  db: Db,
  which: Filter<Operation>,
  owner: string,
  leaseMs: number,
): Promise<Operation | null> {
  const token = randomUUID();
  const taken = { owner: literal(owner), token, until: inMs(leaseMs), fence: { $add: ["$lease.fence", 1] } };
  const operation = await retryDeadlock(() =>
    operations(db).findOneAndUpdate(
      { ...which, open: true, status: "running" },
      [{ $set: { lease: { $cond: [{ $lt: ["$lease.until", "$$NOW"] }, taken, "$lease"] } } }],
      { returnDocument: "after", sort: { "lease.until": 1 }, ...within() },
    ),
  );
  return operation?.lease.token === token ? operation : null;
}

/** Records a driver's guard. That the lease is still held then means that whoever comes later gets a higher one. */
export const recordGuard = (db: Db, operation: Operation, guard: number, leaseMs: number): Promise<Operation | null> =>
  operations(db).findOneAndUpdate(held(operation), [{ $set: { "lease.guard": guard, "lease.until": inMs(leaseMs) } }], {
    returnDocument: "after",
    ...within(),
  });

/**
 * Records that a step is done and which one is next; null when the lease was lost. A turn to build, which a driver that died may
 * have left, isn't taken along.
 */
export const advance = (
  db: Db,
  operation: Operation,
  step: string,
  progress: Document,
  leaseMs: number,
): Promise<Operation | null> =>
  operations(db).findOneAndUpdate(
    held(operation),
    [
      {
        $set: {
          step: literal(step),
          progress: literal({ ...operation.progress, ...progress }),
          "lease.until": inMs(leaseMs),
          error: null,
          history: appendedIfNew(step, "$lease.fence"),
        },
      },
      ...(step === operation.step ? [] : [{ $unset: turn }]),
    ],
    { returnDocument: "after", ...within() },
  );

/** Records how an operation ends, while it is still to be told of; null when the lease was lost. */
export const decide = (db: Db, operation: Operation, end: OperationEnd, leaseMs: number): Promise<Operation | null> =>
  operations(db).findOneAndUpdate(held(operation), [{ $set: { ending: literal(end), "lease.until": inMs(leaseMs) } }], {
    returnDocument: "after",
    ...within(),
  });

/**
 * Closes an operation; null when the lease was lost.
 *
 * @param temporary what must not outlive it beside its secret, as paths
 */
export const finish = (
  db: Db,
  operation: Operation,
  { status, failure }: OperationEnd,
  temporary: readonly string[],
): Promise<Operation | null> =>
  operations(db).findOneAndUpdate(
    held(operation),
    [
      {
        $set: {
          status,
          ...(failure && { failure: literal(failure) }),
          finished_at: "$$NOW",
          error: null,
          history: appended(status, "$lease.fence"),
        },
      },
      { $unset: ["open", "secret", "origin", "ending", "superseded", ...turn, ...temporary] },
    ],
    { returnDocument: "after", ...within() },
  );

/** Holds the lease for `leaseMs` from now; false when it was lost. */
export async function extend(db: Db, operation: Operation, leaseMs: number): Promise<boolean> {
  const change = [{ $set: { "lease.until": inMs(leaseMs) } }];
  return (await operations(db).updateOne(held(operation), change, within())).matchedCount === 1;
}

/** Lets others have the operation from `pauseMs` on; false when the lease was lost. */
export async function release(db: Db, operation: Operation, pauseMs: number): Promise<boolean> {
  const change = [{ $set: { "lease.until": inMs(pauseMs), "lease.free": true, error: null } }];
  return (await operations(db).updateOne(held(operation), change, within())).matchedCount === 1;
}

/**
 * Lets others have the operation from `pauseMs` on and says what went wrong; one that `counts` and was one too many, or that
 * nobody need try again, stops the operation. False when the lease was lost.
 */
export async function releaseFailed(
  db: Db,
  operation: Operation,
  failed: { pauseMs: number; message: string; counts: boolean; stops: boolean; attemptsMax: number },
): Promise<boolean> {
  const attempts = (operation.attempts ?? 0) + (failed.counts ? 1 : 0);
  const isOver = failed.stops || attempts >= failed.attemptsMax;
  const fields = {
    "lease.until": inMs(failed.pauseMs),
    "lease.free": true,
    error: { message: literal(failed.message), at: "$$NOW" },
    attempts,
    ...(isOver && { status: "stopped", history: appended("stopped", "$lease.fence") }),
  };
  const change = [{ $set: fields }, ...(isOver ? [{ $unset: turn }] : [])];
  return (await operations(db).updateOne(held(operation), change, within())).matchedCount === 1;
}

/** Lets a stopped operation go on from the step at which it stopped; null when it isn't stopped. */
export const resume = (db: Db, id: ObjectId): Promise<Operation | null> =>
  operations(db).findOneAndUpdate(
    { _id: id, open: true, status: "stopped" },
    [
      {
        $set: { status: "running", attempts: 0, "lease.until": "$$NOW", history: appended("resumed", "$lease.fence") },
      },
    ],
    { returnDocument: "after", ...within() },
  );

/** Asks for an open operation to be undone, a stopped one too; one that rests can be had at once. Null when it isn't open. */
export const requestCancel = (db: Db, which: { _id: ObjectId } | { organization_id: ObjectId; kind: OperationKind }) =>
  operations(db).findOneAndUpdate(
    { ...which, open: true },
    [
      {
        $set: {
          cancel_requested: true,
          status: "running",
          attempts: 0,
          "lease.until": { $cond: [{ $eq: ["$lease.free", true] }, "$$NOW", "$lease.until"] },
        },
      },
    ],
    { returnDocument: "after", ...within() },
  );

/**
 * Puts another operation into the place of an open one, in one write: it isn't undone nor completed, and its driver can
 * record nothing any more, but may act for as long as its lease would have lasted. Null when another driver has come.
 */
export const supersede = (
  db: Db,
  open: Operation,
  by: Pick<New, "kind" | "step" | "input" | "origin">,
  owner: string,
  leaseMs: number,
): Promise<Operation | null> => {
  const fence = { $add: ["$lease.fence", 1] };
  const fields: Document = {
    ...Object.fromEntries(Object.entries(by).map(([name, value]) => [name, literal(value)])),
    status: "running",
    attempts: 0,
    progress: literal({}),
    error: null,
    superseded: {
      kind: "$kind",
      step: "$step",
      input: "$input",
      progress: "$progress",
      origin: "$origin",
      ending: "$ending",
      held_ms: {
        $cond: [{ $eq: ["$lease.free", true] }, 0, { $max: [0, { $subtract: ["$lease.until", "$$NOW"] }] }],
      },
    },
    lease: { owner: literal(owner), token: randomUUID(), until: inMs(leaseMs), fence },
    history: { $concatArrays: ["$history", [{ step: literal(by.step), at: "$$NOW", fence }]] },
  };
  return operations(db).findOneAndUpdate(
    { _id: open._id, open: true, "lease.fence": open.lease.fence },
    [
      { $set: fields },
      { $unset: ["secret", "ending", "cancel_requested", ...turn, ...(by.origin === undefined ? ["origin"] : [])] },
    ],
    { returnDocument: "after", ...within() },
  );
};

export const findOpen = (db: Db, organizationId: ObjectId): Promise<Operation | null> =>
  operations(db).findOne({ organization_id: organizationId, open: true }, within());

export const findById = (db: Db, id: ObjectId): Promise<Operation | null> =>
  operations(db).findOne({ _id: id }, within());

/** Every open operation, what must not outlive it left out; for those who look after all organizations at once. */
export const findAllOpen = (db: Db): Promise<Operation[]> =>
  operations(db)
    .find(
      { open: true },
      {
        projection: { secret: 0, history: 0, "progress.suspects": 0 },
        // The index of open ones is in this order, and no operation changes its place in it.
        sort: { organization_id: 1 },
        ...majority,
        ...within(60_000),
      },
    )
    .toArray();
