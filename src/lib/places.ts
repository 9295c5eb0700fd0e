import { setTimeout as sleep } from "node:timers/promises";

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
  const taken = new Map<string, number>();
  /** Whose turn it is stands first. */
  const waiting = new Map<string, Come[]>();
  let takenOfAll = 0;
  let waitingOfAll = 0;

  const isFreeFor = (key: string) => (taken.get(key) ?? 0) < atOnce - takenOfAll;

  const take = (key: string) => {
    taken.set(key, (taken.get(key) ?? 0) + 1);
    takenOfAll++;
    let left = false;
    return () => {
      if (left) return;
      left = true;
      const others = taken.get(key)! - 1;
      if (others === 0) taken.delete(key);
      else taken.set(key, others);
      takenOfAll--;
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
      come(take(next));
    }
  }

  const nextInTurn = (): string | undefined => waiting.keys().find(isFreeFor);

  function forget(key: string, come: Come): void {
    const queue = waiting.get(key)!;
    queue.splice(queue.indexOf(come), 1);
    if (queue.length === 0) waiting.delete(key);
    waitingOfAll--;
  }

  return {
    enter(key) {
      if (!waiting.has(key) && isFreeFor(key)) return take(key);
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
