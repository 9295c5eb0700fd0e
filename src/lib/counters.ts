import type { Collection, Db, Filter, FindOneAndUpdateOptions, UpdateFilter } from "mongodb";
import { RateLimiterMemory, RateLimiterMongo, type RateLimiterRes } from "rate-limiter-flexible";
import { combineAdds } from "./combined.ts";
import { insure } from "./insured.ts";
import { isUnnamedDuplicateKey, retryDeadlock, within } from "./mongo.ts";

/** How much was counted since the window began, and in how many milliseconds it ends. */
export type Count = { count: number; resetMs: number };

/** Counts by key; a window begins with the first count after the one before it ended. */
export type Counters = {
  /** Counts at once: of any number of callers each gets another count. */
  add(key: string, by: number, windowSeconds: number): Promise<Count>;
  read(key: string): Promise<Count | null>;
  remove(key: string): Promise<void>;
};

type Rate = Pick<RateLimiterRes, "consumedPoints" | "msBeforeNext">;
const asCount = ({ consumedPoints, msBeforeNext }: Rate): Count => ({ count: consumedPoints, resetMs: msBeforeNext });

/** The library asks for limits of its own; `penalty` counts without looking at them. */
export const unused = { points: 1, duration: 1, keyPrefix: "" };

/** Both of the library's; its types don't know that MongoDB's takes `customDuration` too. */
type Counting = Pick<RateLimiterMemory, "penalty" | "get" | "delete">;

export function countersOf(limiter: Counting): Counters {
  return {
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

/** Of this process alone. */
export const createMemoryCounters = (): Counters => countersOf(new RateLimiterMemory(unused));

const statementMs = 1_500;
/** A count that a change of the primary loses is one try more. */
const quick = { writeConcern: { w: 1 } } as const;
const pauseMs = 5_000;

type Entry = { key: string; points: number; expire: Date | null };
const entries = (db: Db): Collection<Entry> => db.collection("rate_limits");

export async function createCounterIndexes(db: Db): Promise<void> {
  await entries(db).createIndex({ key: 1 }, { unique: true, ...within() });
  await entries(db).createIndex({ expire: 1 }, { expireAfterSeconds: 0, ...within() });
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
      countersOf(new RateLimiterMongo({ ...unused, storeClient: storeClient(db), disableIndexesCreation: true })),
    ),
    second: createMemoryCounters(),
    pauseMs,
    onAway,
  });
