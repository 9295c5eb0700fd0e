import { LRUCache } from "lru-cache";
import type { Count, Counters } from "./counters.ts";

const knownMax = 10_000;

type Both = Count & {
  /** How much of it the second has counted. */
  own: number;
};

/**
 * Counts in the first place, and in the second while that is away. A key goes on from where this process saw it last, so an
 * outage gives nobody a fresh start. The first may have lost its memory when it is back: as long as a window is open that this
 * process saw before, or in which the second has counted, both are counted in, and the higher count holds.
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
  const known = new LRUCache<string, Count & { sinceFailure: number }>({ max: knownMax });
  let awayUntilMs = 0;
  let failures = 0;
  let carefulUntilMs = 0;
  let longestSeconds = 0;

  const openWindow = (key: string) => {
    const window = known.get(key);
    return window && window.endsMs > Date.now() ? window : null;
  };
  /** Whether the first may know less of a key than this process or the second. */
  const isCareful = async (key: string): Promise<boolean> => {
    if (Date.now() >= carefulUntilMs) return false;
    const window = openWindow(key);
    return (window !== null && window.sinceFailure < failures) || (await second.read(key)) !== null;
  };
  const isAway = () => performance.now() < awayUntilMs;

  /** @returns null when the first place is away */
  const tryFirst = async <T>(work: () => Promise<T>): Promise<{ value: T } | null> => {
    if (isAway()) return null;
    try {
      return { value: await work() };
    } catch (error) {
      if (!isAway()) onAway(error);
      failures++;
      awayUntilMs = performance.now() + pauseMs;
      carefulUntilMs = Date.now() + pauseMs + longestSeconds * 1000;
      return null;
    }
  };

  const addToSecond = async (key: string, by: number, windowSeconds: number): Promise<Both> => {
    const window = openWindow(key);
    const seconds = window ? Math.ceil((window.endsMs - Date.now()) / 1000) : windowSeconds;
    const { count, endsMs } = await second.add(key, by, seconds);
    return { count: (window?.count ?? 0) + count, endsMs: Math.max(endsMs, window?.endsMs ?? 0), own: count };
  };

  return {
    async add(key, by, windowSeconds) {
      longestSeconds = Math.max(longestSeconds, windowSeconds);
      const sinceFailure = failures;
      const counted = await tryFirst(() => first.add(key, by, windowSeconds));
      if (!counted) return await addToSecond(key, by, windowSeconds);
      const both: Both = (await isCareful(key))
        ? await addToSecond(key, by, windowSeconds)
        : { count: 0, endsMs: 0, own: 0 };
      const { count, endsMs } = both.count > counted.value.count ? both : counted.value;
      known.set(key, { count: count - both.own, endsMs, sinceFailure });
      return { count, endsMs };
    },
    async takeBack(key, endsBeforeMs) {
      const back = await tryFirst(() => first.takeBack(key, endsBeforeMs));
      if ((!back || (await isCareful(key))) && (await second.takeBack(key, endsBeforeMs))) return true;
      if (back && !back.value) return false;
      // It was counted in the first: what this process goes on from is one less, also while that is away.
      const window = openWindow(key);
      const isKnown = window !== null && window.endsMs < endsBeforeMs && window.count > 0;
      if (isKnown) known.set(key, { ...window, count: window.count - 1 });
      return isKnown || back !== null;
    },
    async read(key) {
      const counted = await tryFirst(() => first.read(key));
      if (counted && !(await isCareful(key))) return counted.value;
      const there = await second.read(key);
      const window = openWindow(key);
      const count = (window?.count ?? 0) + (there?.count ?? 0);
      if (counted?.value && counted.value.count >= count) return counted.value;
      return there || window ? { count, endsMs: Math.max(there?.endsMs ?? 0, window?.endsMs ?? 0) } : null;
    },
    async remove(key) {
      known.delete(key);
      if (Date.now() < carefulUntilMs || isAway()) await second.remove(key);
      if (!(await tryFirst(() => first.remove(key)))) await second.remove(key);
    },
  };
}
