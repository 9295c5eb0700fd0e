import { setTimeout as sleep } from "node:timers/promises";
import { LRUCache } from "lru-cache";
import type { Db } from "mongodb";
import type { Logger } from "pino";
import { failure, isFailure } from "../lib/failure.ts";
import { isUnavailable } from "../lib/mongo/mongo.ts";
import type { AuditFailure, Entry } from "./audit.ts";
import { join, type Link } from "./chain.ts";
import { insertInOrder, raiseHead, readEnd } from "./store.ts";

export type Appender = {
  /**
   * Records an entry: it is in its chain when this returns, once for its `act_id`.
   *
   * @throws Failure `audit_unavailable`, or an error that says that the database is away: then it may be in
   */
  append(entry: Entry): Promise<void>;
  /** Waits until nothing is under way. */
  settled(): Promise<void>;
};

type Waiting = { entry: Entry; done: () => void; fail: (error: unknown) => void };

const batchMax = 500;
/** Each time somebody else was first, so the chain has grown: this many rivals in a row are a storm over many processes. */
const attemptsMax = 60;
const pauseMsMax = 40;

/** How long the end of a chain is believed that this process has seen; far less than entries are kept for. */
const endKnownMs = 60 * 60_000;
const endsMax = 10_000;

/**
 * Appends entries to their chains. Within this process those of one chain go one batch after the other, whatever comes
 * meanwhile together in the next one; other processes are told of by the place that is taken.
 */
export function createAppender({ db, log }: { db: Db; log: Pick<Logger, "warn"> }): Appender {
  const waiting = new Map<string, Waiting[]>();
  const running = new Map<string, Promise<void>>();
  const ends = new LRUCache<string, Link>({ max: endsMax, ttl: endKnownMs });
  const heads = new Map<string, Link>();
  const raising = new Map<string, Promise<void>>();

  /** Not waited for by whoever appends: a head that is behind says less, and nothing wrong. */
  const raise = async (chain: string) => {
    for (let head = heads.get(chain); head; head = heads.get(chain)) {
      heads.delete(chain);
      await raiseHead(db, chain, head).catch((error) =>
        log.warn({ err: error }, "head of an audit chain could not be updated"),
      );
    }
    raising.delete(chain);
  };
  const grown = (chain: string, end: Link) => {
    ends.set(chain, end);
    heads.set(chain, end);
    if (!raising.has(chain)) raising.set(chain, raise(chain));
  };

  /** Joins as many as it can at once; returns those that are still to be joined. */
  const joinSome = async (chain: string, batch: Waiting[], attempt: number): Promise<Waiting[]> => {
    const end = ends.get(chain) ?? (await readEnd(db, chain));
    const joined = join(
      end,
      batch.map(({ entry }) => entry),
    );
    const { count, then } = await insertInOrder(db, joined);
    if (count > 0) {
      const { seq, hash } = joined[count - 1]!;
      grown(chain, { seq, hash });
      for (const { done } of batch.slice(0, count)) done();
    }
    if (then === "recorded") {
      batch[count]!.done();
      return batch.slice(count + 1);
    }
    if (then !== "done") {
      ends.delete(chain);
      if (count === 0) await sleep(Math.random() * Math.min(pauseMsMax, 2 * attempt));
    }
    return batch.slice(count);
  };

  const work = async (chain: string) => {
    for (let batch = take(chain); batch.length > 0; batch = take(chain)) {
      let left = batch;
      try {
        for (let attempt = 1; left.length > 0; attempt++) {
          if (attempt > attemptsMax + batch.length)
            throw new Error("too many processes are appending to this audit chain");
          left = await joinSome(chain, left, attempt);
        }
      } catch (error) {
        ends.delete(chain);
        for (const { fail } of left) fail(asUnavailable(error));
      }
    }
    running.delete(chain);
  };
  const take = (chain: string): Waiting[] => {
    const queue = waiting.get(chain) ?? [];
    const batch = queue.splice(0, batchMax);
    if (queue.length === 0) waiting.delete(chain);
    return batch;
  };

  return {
    append: (entry) =>
      new Promise((done, fail) => {
        const queue = waiting.get(entry.chain);
        if (queue) queue.push({ entry, done, fail });
        else waiting.set(entry.chain, [{ entry, done, fail }]);
        if (!running.has(entry.chain)) running.set(entry.chain, work(entry.chain));
      }),
    async settled() {
      while (running.size > 0 || raising.size > 0) await Promise.all([...running.values(), ...raising.values()]);
    },
  };
}

const asUnavailable = (error: unknown): unknown =>
  isUnavailable(error) || isFailure(error)
    ? error
    : failure<AuditFailure>("audit_unavailable", "The audit log can't be written at the moment; try again shortly.", {
        retryAfterSeconds: 1,
        cause: error,
      });
