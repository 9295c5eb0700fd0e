import { setTimeout as sleep } from "node:timers/promises";
import { createBudget } from "./budget.ts";

export type Places = {
  /** Waits for a place; null when none came in time. The function that it returns has to be called at the end. */
  enter(key: string): Promise<(() => void) | null> | (() => void);
};

/** As in a crowd: no way to keep everybody busy. */
const refusalMs = 250;

type Come = (leave: (() => void) | null) => void;

/**
 * Deals so many places to all keys together. A key gets one more as long as it has fewer than are free, so the first may have
 * half of them, the second half of the rest, and there is always one for somebody who has none. Those who wait get theirs in
 * turn: one of each key, then the next of each.
 *
 * @param options.waitingMax how many may wait, of all keys together
 */
export function createPlaces(options: { atOnce: number; waitingMax: number; waitMs: number }): Places {
  const { atOnce, waitingMax, waitMs } = options;
  // One more than there are: a budget leaves as much as it gives, and the last place may be taken.
  const budget = createBudget(atOnce + 1);
  /** Whose turn it is stands first. */
  const waiting = new Map<string, Come[]>();
  let waitingOfAll = 0;

  const leaver = (key: string) => {
    let left = false;
    return () => {
      if (left) return;
      left = true;
      budget.giveBack(key, 1);
      deal();
    };
  };

  function deal(): void {
    for (let next = nextInTurn(); next !== undefined; next = nextInTurn()) {
      const come = waiting.get(next)![0]!;
      forget(next, come);
      const others = waiting.get(next);
      // Its next one is behind those of all others.
      if (others && waiting.delete(next)) waiting.set(next, others);
      come(leaver(next));
    }
  }

  /** The first of those who wait that may have a place; it has it then. */
  const nextInTurn = (): string | undefined => waiting.keys().find((key) => budget.take(key, 1));

  function forget(key: string, come: Come): void {
    const queue = waiting.get(key)!;
    queue.splice(queue.indexOf(come), 1);
    if (queue.length === 0) waiting.delete(key);
    waitingOfAll--;
  }

  return {
    enter(key) {
      if (!waiting.has(key) && budget.take(key, 1)) return leaver(key);
      if (waitingOfAll >= waitingMax) return sleep(refusalMs, null);
      const { promise, resolve } = Promise.withResolvers<(() => void) | null>();
      const timer = setTimeout(() => {
        forget(key, come);
        resolve(null);
      }, waitMs);
      const come: Come = (leave) => {
        clearTimeout(timer);
        resolve(leave);
      };
      const queue = waiting.get(key);
      if (queue) queue.push(come);
      else waiting.set(key, [come]);
      waitingOfAll++;
      return promise;
    },
  };
}
