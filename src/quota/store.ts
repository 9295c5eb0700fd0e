import {
  type Collection,
  type Db,
  type Document,
  type Filter,
  MongoBulkWriteError,
  type ObjectId,
  type OptionalUnlessRequiredId,
} from "mongodb";
import { isDuplicateKeyOfAny, retryDeadlock, buildIndexes, within } from "../lib/mongo/mongo.ts";
import { type Amount, dimensions, type Quota } from "./quota.ts";

/** How much an organization has, with what processes have set aside for writes to come. */
export type UsageRecord = Amount & {
  _id: ObjectId;
  /** When its documents were counted. Until they were, `documents` and `bytes` are only what has been written since. */
  counted_at?: Date;
  changed_at?: Date;
  /** When it is to be counted again. */
  due_at?: Date;
  counting?: { by: string; until: Date };
  /** It couldn't be counted so often in a row, and isn't tried again before then. */
  failures?: number;
  postponed_until?: Date;
};

const usage = (db: Db): Collection<UsageRecord> => db.collection("usage");

export async function createUsageIndexes(db: Db): Promise<void> {
  await buildIndexes(usage(db), [{ key: { due_at: 1 }, sparse: true }]);
}

export const find = (db: Db, id: ObjectId): Promise<UsageRecord | null> => usage(db).findOne({ _id: id }, within());

/** So long after a change it is counted again, if nothing is written then. */
const countAgainMs = 10 * 60_000;
/** …and so long after that though nothing has changed: a process without quotas may have written, or another client. */
const countUnchangedMs = 7 * 24 * 60 * 60_000;

const changed = (by: Amount, now: Date) => ({
  $inc: { documents: by.documents, bytes: by.bytes },
  $set: { changed_at: now },
  $min: { due_at: new Date(now.getTime() + countAgainMs) },
});

/**
 * Takes so much more for an organization, unless it would have more than a limit: of those that are null none holds.
 *
 * @param onlyCounted not while nobody knows how much it has
 * @returns how much it has then; null when it has no room, or there is no record of it
 */
export const take = (
  db: Db,
  id: ObjectId,
  more: Amount,
  limits: Quota,
  onlyCounted: boolean,
  now: Date,
): Promise<UsageRecord | null> => {
  const room = dimensions.flatMap((each): [string, Document][] => {
    const limit = limits[each];
    return limit === null ? [] : [[each, { $lte: limit - more[each] }]];
  });
  const filter = { _id: id, ...(onlyCounted && { counted_at: { $exists: true } }), ...Object.fromEntries(room) };
  const options = { returnDocument: "after", ...within() } as const;
  return retryDeadlock(() => usage(db).findOneAndUpdate(filter, changed(more, now), options));
};

export type Less = { id: ObjectId; less: Amount };

/**
 * Gives back what organizations have less than their records say; of those without a record nothing.
 *
 * @returns those of whom it isn't known to be written, and why; when no answer came that is all of them
 */
export async function giveBack(
  db: Db,
  all: readonly Less[],
  now: Date,
): Promise<{ left: readonly Less[]; error?: unknown }> {
  // In one order for all: rivals wait for one another, and not each for the other.
  let left: readonly Less[] = [...all].sort((a, b) => (a.id.toHexString() < b.id.toHexString() ? -1 : 1));
  const write = async () => {
    const writes = left.map(({ id, less }) => ({
      updateOne: { filter: { _id: id }, update: changed({ documents: -less.documents, bytes: -less.bytes }, now) },
    }));
    try {
      await usage(db).bulkWrite(writes, { ordered: false, ...within(bulkMs) });
    } catch (error) {
      // The others are written, and would be once more.
      const places = failedAmong(error);
      if (places.length > 0) left = places.map((place) => left[place]!);
      throw error;
    }
  };
  try {
    await retryDeadlock(write);
    return { left: [] };
  } catch (error) {
    return { left, error };
  }
}
const bulkMs = 10_000;

/** Which of several writes the server has said it hasn't done, where that is all that went wrong. */
const failedAmong = (error: unknown): number[] =>
  error instanceof MongoBulkWriteError ? [error.writeErrors].flat().map(({ index }) => index) : [];

/**
 * Makes sure that nobody else counts.
 *
 * @param isFirst only if nobody has counted yet: what is set aside meanwhile another count would take for free
 * @returns what the record says; null when another one counts
 */
export async function claimCount(
  db: Db,
  id: ObjectId,
  counting: { by: string; until: Date },
  now: Date,
  isFirst: boolean,
): Promise<UsageRecord | null> {
  const only = isFirst && { counted_at: { $exists: false } };
  const filter = { _id: id, "counting.until": { $not: { $gt: now } }, ...only };
  // When this process dies it is due again.
  const claim = { counting, due_at: counting.until };
  const options = { returnDocument: "after", ...within() } as const;
  const claimed = await retryDeadlock(() => usage(db).findOneAndUpdate(filter, { $set: claim }, options));
  if (claimed) return claimed;
  const first = { _id: id, documents: 0, bytes: 0, ...claim };
  return (await isInserted(usage(db), first)) ? first : null;
}

/** As an upsert of what others make at once, of which FerretDB tells in many words. */
async function isInserted<T extends Document>(
  into: Collection<T>,
  record: OptionalUnlessRequiredId<T>,
): Promise<boolean> {
  try {
    await into.insertOne(record, within());
    return true;
  } catch (error) {
    if (!isDuplicateKeyOfAny(error)) throw error;
    return false;
  }
}

/**
 * Corrects a record by what was counted, in one step, so that what is taken meanwhile stays taken. When something was, the
 * count may have seen it too: then it is counted again soon.
 */
export async function finishCount(
  db: Db,
  { _id, counting, changed_at }: UsageRecord,
  more: Amount,
  counted_at: Date,
): Promise<void> {
  const mine = { _id, "counting.by": counting!.by };
  const correct = async (filter: Filter<UsageRecord>, againMs: number) => {
    const due_at = new Date(counted_at.getTime() + againMs);
    const correction = { $inc: { documents: more.documents, bytes: more.bytes }, $set: { counted_at, due_at } };
    const update = { ...correction, $unset: { counting: true, failures: true, postponed_until: true } } as const;
    return (
      (await retryDeadlock(() => usage(db).updateOne({ ...mine, ...filter }, update, within()))).matchedCount === 1
    );
  };
  const unchanged = { changed_at: changed_at ?? { $exists: false } };
  if (!(await correct(unchanged, countUnchangedMs))) await correct({}, countAgainMs);
}

/** Nothing came of a count: another try is made then, whatever is written until then. @param failures in a row */
export async function postponeCount(
  db: Db,
  { _id, counting }: UsageRecord,
  until: Date,
  failures: number,
): Promise<void> {
  const mine = { _id, "counting.by": counting!.by };
  const change = { $set: { due_at: until, postponed_until: until, failures }, $unset: { counting: true } } as const;
  await retryDeadlock(() => usage(db).updateOne(mine, change, within()));
}

/** Those that are to be counted, and were not written to since some time, or are overdue in spite of it. */
export const findDue = (
  db: Db,
  { now, quietSince, overdueSince }: { now: Date; quietSince: Date; overdueSince: Date },
  limit: number,
): Promise<Pick<UsageRecord, "_id">[]> =>
  usage(db)
    .find(
      {
        due_at: { $lte: now },
        postponed_until: { $not: { $gt: now } },
        $or: [{ changed_at: { $not: { $gt: quietSince } } }, { due_at: { $lte: overdueSince } }],
      },
      { projection: { _id: 1 }, sort: { due_at: 1 }, limit, ...within() },
    )
    .toArray();

/** Without quotas nobody keeps the records. */
export async function removeAll(db: Db): Promise<void> {
  await usage(db).deleteMany({}, within(60_000));
}

export async function remove(db: Db, id: ObjectId): Promise<void> {
  await usage(db).deleteOne({ _id: id }, within());
}

/** Organizations that are being made, in the order in which they came. */
export type Entering = { id: ObjectId; at: Date }[];
type AdmissionRecord = { _id: "organizations"; entering: Entering };
const admissions = (db: Db): Collection<AdmissionRecord> => db.collection("admissions");
const theOne = { _id: "organizations" } as const;

/** @returns all that are being made, this one last */
export async function enter(db: Db, id: ObjectId, at: Date): Promise<Entering> {
  const one = { id, at };
  const add = async () => {
    const options = { returnDocument: "after", ...within() } as const;
    const push = { $push: { entering: one } };
    return (await retryDeadlock(() => admissions(db).findOneAndUpdate(theOne, push, options)))?.entering;
  };
  const added = await add();
  if (added) return added;
  return (await isInserted(admissions(db), { ...theOne, entering: [one] })) ? [one] : (await add())!;
}

/** @param forgotten those that came before then are forgotten, too */
export async function leave(db: Db, id: ObjectId, forgotten: Date | null): Promise<void> {
  await retryDeadlock(() => admissions(db).updateOne(theOne, { $pull: { entering: { id } } }, within()));
  if (forgotten) await admissions(db).updateOne(theOne, { $pull: { entering: { at: { $lt: forgotten } } } }, within());
}
