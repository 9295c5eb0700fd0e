import { LRUCache } from "lru-cache";
import type { Count, Counters } from "./counters.ts";

const knownMax = 10_000;

type Both = Count & {
  /** How much of it the second has counted. */
  own: number;
};

/**
 * Counts in the first place, and in the second while that is away. A key goes on from where this process saw it last, so an
 * outage gives nobody a fresh start. The first may have lost its memory when it is back: as long as a window from before may
 * be open, both are counted in, and the higher count holds.
 *
 * While only one of several processes can't reach the first place, a limit may be up to twice as high; nobody is locked out,
 * and nobody gets in without being counted.
 *
 * @param pauseMs how long nobody is made to wait for a first place that didn't answer
 * @param onAway told when it goes over to the second
 */
export function insure(options: {
  first: Counters;
  second: Counters;
  pauseMs: number;
  onAway: (error: unknown) => void;
}): Counters {
  const { first, second, pauseMs, onAway } = options;
  /** What this process knows of the keys that it counted last, without what the second has counted. */
  const known = new LRUCache<string, { count: number; endsMs: number }>({ max: knownMax });
  let awayUntilMs = 0;
  let carefulUntilMs = 0;
  let longestSeconds = 0;

  const leftMs = (key: string): number => Math.max(0, (known.get(key)?.endsMs ?? 0) - Date.now());
  const knownCount = (key: string): number => (leftMs(key) > 0 ? known.get(key)!.count : 0);
  const isAway = () => performance.now() < awayUntilMs;

  /** @returns null when the first place is away */
  const tryFirst = async <T>(work: () => Promise<T>): Promise<{ value: T } | null> => {
    if (isAway()) return null;
    try {
      return { value: await work() };
    } catch (error) {
      if (!isAway()) onAway(error);
      awayUntilMs = performance.now() + pauseMs;
      carefulUntilMs = Date.now() + pauseMs + longestSeconds * 1000;
      return null;
    }
  };

  const addToSecond = async (key: string, by: number, windowSeconds: number): Promise<Both> => {
    const left = leftMs(key);
    const { count, resetMs } = await second.add(key, by, left > 0 ? Math.ceil(left / 1000) : windowSeconds);
    return { count: knownCount(key) + count, resetMs: Math.max(resetMs, left), own: count };
  };

  return {
    async add(key, by, windowSeconds) {
      longestSeconds = Math.max(longestSeconds, windowSeconds);
      const counted = await tryFirst(() => first.add(key, by, windowSeconds));
      if (!counted) return await addToSecond(key, by, windowSeconds);
      const careful = Date.now() < carefulUntilMs;
      const both: Both = careful ? await addToSecond(key, by, windowSeconds) : { count: 0, resetMs: 0, own: 0 };
      const { count, resetMs } = both.count > counted.value.count ? both : counted.value;
      known.set(key, { count: count - both.own, endsMs: Date.now() + resetMs });
      return { count, resetMs };
    },
    async read(key) {
      const counted = await tryFirst(() => first.read(key));
      if (counted && Date.now() >= carefulUntilMs) return counted.value;
      const there = await second.read(key);
      const count = knownCount(key) + (there?.count ?? 0);
      if (counted?.value && counted.value.count >= count) return counted.value;
      return there || leftMs(key) > 0 ? { count, resetMs: Math.max(there?.resetMs ?? 0, leftMs(key)) } : null;
    },
    async remove(key) {
      known.delete(key);
      if (Date.now() < carefulUntilMs || isAway()) await second.remove(key);
      if (!(await tryFirst(() => first.remove(key)))) await second.remove(key);
    },
  };
}
