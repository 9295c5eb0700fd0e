import { setTimeout as sleep } from "node:timers/promises";

/** @returns what `work` returns, or null when its turn didn't come within `waitMs` */
export type InTurn = <T>(key: string, waitMs: number, work: () => Promise<T>) => Promise<T | null>;

/**
 * Lets the calls of one key run one after the other, in the order in which they came; other keys aren't held up. Within
 * this process only: it decides nothing, it spares the database a crowd at one record.
 */
export function createTurns(): InTurn {
  const lastOf = new Map<string, Promise<void>>();
  return async (key, waitMs, work) => {
    const before = lastOf.get(key);
    const { promise: done, resolve: end } = Promise.withResolvers<void>();
    lastOf.set(key, done);
    try {
      return (await comesWithin(waitMs, before)) ? await work() : null;
    } finally {
      end();
      if (lastOf.get(key) === done) lastOf.delete(key);
    }
  };
}

async function comesWithin(waitMs: number, turn: Promise<void> | undefined): Promise<boolean> {
  if (!turn) return true;
  const come = new AbortController();
  const late = sleep(waitMs, false, { signal: come.signal }).catch(() => false);
  try {
    return await Promise.race([turn.then(() => true), late]);
  } finally {
    come.abort();
  }
}
