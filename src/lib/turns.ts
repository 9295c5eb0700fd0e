import { setTimeout as sleep } from "node:timers/promises";

/** @returns what `work` returns, or null when its turn didn't come within `waitMs` */
export type InTurn = <T>(key: string, waitMs: number, work: () => Promise<T>) => Promise<T | null>;

type Turn = { come: true } | { come: false } | { error: unknown };

/**
 * Lets the calls of one key run one after the other, in the order in which they came; other keys aren't held up. Within
 * this process only: it decides nothing, it spares the database a crowd at one record.
 *
 * @param isCommon whether an error is one that those who wait would meet as well: they get it at once, not one by one
 */
export function createTurns(isCommon: (error: unknown) => boolean): InTurn {
  const lastOf = new Map<string, Promise<Turn>>();
  return async (key, waitMs, work) => {
    const before = lastOf.get(key);
    const { promise: mine, resolve: end } = Promise.withResolvers<Turn>();
    lastOf.set(key, mine);
    let next: Turn = { come: true };
    try {
      const turn = before ? await within(waitMs, before) : next;
      if ("error" in turn) throw turn.error;
      return turn.come ? await work() : null;
    } catch (error) {
      if (isCommon(error)) next = { error };
      throw error;
    } finally {
      end(next);
      if (lastOf.get(key) === mine) lastOf.delete(key);
    }
  };
}

async function within(waitMs: number, turn: Promise<Turn>): Promise<Turn> {
  const waiting = new AbortController();
  const late = sleep(waitMs, { come: false } as const, { signal: waiting.signal }).catch(
    () => ({ come: false }) as const,
  );
  try {
    return await Promise.race([turn, late]);
  } finally {
    waiting.abort();
  }
}
