import { LRUCache } from "lru-cache";
import type { Collection, Db, Filter, FindOneAndUpdateOptions, UpdateFilter } from "mongodb";
import { type RateLimiterAbstract, RateLimiterMongo, type RateLimiterRes } from "rate-limiter-flexible";
import { combineAdds } from "./combined.ts";
import type { Expiring } from "../mongo/expiry.ts";
import { insure } from "./insured.ts";
import { isUnnamedDuplicateKey, retryDeadlock, buildIndexes, within } from "../mongo/mongo.ts";

/** How much was counted since the window began, and when it ends, in milliseconds since 1970. */
export type Count = { count: number; endsMs: number };

/** Counts by key; a window begins with the first count after the one before it ended. */
export type Counters = {
  /** Counts at once: of any number of callers each gets another count. */
  add(key: string, by: number, windowSeconds: number): Promise<Count>;
  /** Counts one less in the open window, if that ends before then: it never opens one. @returns whether it did */
  takeBack(key: string, endsBeforeMs: number): Promise<boolean>;
  read(key: string): Promise<Count | null>;
  remove(key: string): Promise<void>;
};

type Rate = Pick<RateLimiterRes, "consumedPoints" | "msBeforeNext">;
const asCount = ({ consumedPoints, msBeforeNext }: Rate): Count => ({
  count: consumedPoints,
  endsMs: Date.now() + msBeforeNext,
});

/** The library asks for limits of its own; `penalty` counts without looking at them. */
export const unused = { points: 1, duration: 1, keyPrefix: "" };

/** Both of the library's; its types don't know that MongoDB's takes `customDuration` too. */
type Counting = Pick<RateLimiterAbstract, "penalty" | "get" | "delete">;

/** @param takeBack the library's own would open a window */
export function countersOf(limiter: Counting, takeBack: Counters["takeBack"]): Counters {
  return {
    takeBack,
    add: async (key, by, windowSeconds) => asCount(await limiter.penalty(key, by, { customDuration: windowSeconds })),
    async read(key) {
      const rate = await limiter.get(key);
      return rate && rate.msBeforeNext > 0 ? asCount(rate) : null;
    },
    async remove(key) {
      await limiter.delete(key);
    },
  };
}

/** Some 200 bytes each. */
const keysMaxDefault = 50_000;

/** Of this process alone, for so many keys at the most: beyond it, the one that was used least lately is forgotten. */
export function createMemoryCounters(keysMax = keysMaxDefault): Counters {
  const windows = new LRUCache<string, Count>({ max: keysMax });
  const open = (key: string): Count | null => {
    const window = windows.get(key);
    return window && window.endsMs > Date.now() ? window : null;
  };
  return {
    async add(key, by, windowSeconds) {
      const { count, endsMs } = open(key) ?? { count: 0, endsMs: Date.now() + windowSeconds * 1000 };
      const now = { count: count + by, endsMs };
      windows.set(key, now);
      return now;
    },
    async takeBack(key, endsBeforeMs) {
      const window = open(key);
      if (!window || window.endsMs >= endsBeforeMs || window.count <= 0) return false;
      windows.set(key, { ...window, count: window.count - 1 });
      return true;
    },
    read: async (key) => open(key),
    async remove(key) {
      windows.delete(key);
    },
  };
}

const statementMs = 1_500;
/** A count that a change of the primary loses is one try more. */
const quick = { writeConcern: { w: 1 } } as const;
const pauseMs = 5_000;

type Entry = { key: string; points: number; expire: Date | null };
const entries = (db: Db): Collection<Entry> => db.collection("rate_limits");

export const countersExpire: Expiring = { of: entries, field: "expire", afterSeconds: 0 };

export async function createCounterIndexes(db: Db): Promise<void> {
  await buildIndexes(entries(db), [{ key: { key: 1 }, unique: true }]);
}

async function takeBack(db: Db, key: string, endsBeforeMs: number): Promise<boolean> {
  const window = { key, points: { $gt: 0 }, expire: { $gt: new Date(), $lt: new Date(endsBeforeMs) } };
  const less = { $inc: { points: -1 } };
  const options = { ...quick, ...within(statementMs) };
  const { modifiedCount } = await retryDeadlock(() => entries(db).updateOne(window, less, options));
  return modifiedCount === 1;
}

/** What the library uses of a database: with time-outs, and with FerretDB's answers to rivals said in MongoDB's way. */
function storeClient(db: Db) {
  const collection = entries(db);
  const findOneAndUpdate = (filter: Filter<Entry>, update: UpdateFilter<Entry>, options: FindOneAndUpdateOptions) =>
    retryDeadlock(async () => {
      try {
        return await collection.findOneAndUpdate(filter, update, { ...options, ...quick, ...within(statementMs) });
      } catch (error) {
        throw isUnnamedDuplicateKey(error) ? Object.assign(error as Error, { code: 11000 }) : error;
      }
    });
  return {
    collection: () => ({
      findOneAndUpdate,
      findOne: (filter: object) => collection.findOne(filter, within(statementMs)),
      deleteOne: (filter: object) => collection.deleteOne(filter, within(statementMs)),
    }),
  };
}

/**
 * Of all processes on one database. While that is away each process goes on for itself: a limit is then as many times higher
 * as there are processes, but nobody is locked out, and nobody gets in without being counted.
 *
 * @param onAway told when it goes over to counting for itself
 */
export const createSharedCounters = (db: Db, onAway: (error: unknown) => void): Counters =>
  insure({
    first: combineAdds(
      countersOf(
        new RateLimiterMongo({ ...unused, storeClient: storeClient(db), disableIndexesCreation: true }),
        (key, endsBeforeMs) => takeBack(db, key, endsBeforeMs),
      ),
    ),
    second: createMemoryCounters(),
    pauseMs,
    onAway,
  });
