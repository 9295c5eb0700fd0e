import type { Counters } from "./counters.ts";

/** What one limit says to one request. */
export type Taken = {
  name: string;
  allowed: boolean;
  limit: number;
  windowSeconds: number;
  remaining: number;
  resetSeconds: number;
};

export type RateLimit = {
  /** Counts a request. */
  take(key: string): Promise<Taken>;
  /** Takes the count of one request back. */
  giveBack(key: string): Promise<void>;
  /** Forgets the key: what it did was right. @returns what holds from now on */
  forgive(key: string): Promise<Taken>;
};

type Settings = {
  /** Shown in the headers. */
  name: string;
  limit: number;
  windowSeconds: number;
  /** With it the windows grow: each is twice as long as the one before that was used up, up to this. */
  windowSecondsMax?: number;
  counters: Counters;
};

/** How long it is remembered how many windows were used up. */
const memorySeconds = 24 * 60 * 60;

/**
 * A limit: so many requests in a window that begins with the first of them. Where windows grow, their length follows from
 * all that was let through in a day, so that waiting for each window's end gets a guesser no further.
 */
export function createRateLimit(settings: Settings): RateLimit {
  const { name, limit, windowSeconds, windowSecondsMax = windowSeconds, counters } = settings;
  const grows = windowSecondsMax > windowSeconds;
  const nowKey = (key: string) => `${name}:${key}`;
  const dayKey = (key: string) => `${name}:day:${key}`;
  const windowAfter = (used: number) => Math.min(windowSeconds * 2 ** Math.floor(used / limit), windowSecondsMax);

  return {
    async take(key) {
      const before = grows ? ((await counters.read(dayKey(key)))?.count ?? 0) : 0;
      const { count, resetMs } = await counters.add(nowKey(key), 1, windowAfter(before));
      const allowed = count <= limit;
      if (grows && allowed) await counters.add(dayKey(key), 1, memorySeconds);
      return {
        name,
        allowed,
        limit,
        // The window that is open began before what was let through in it.
        windowSeconds: windowAfter(Math.max(0, before - Math.min(count - 1, limit))),
        // What was given back after its window had ended belongs to none.
        remaining: Math.min(limit, Math.max(0, limit - count)),
        resetSeconds: Math.max(1, Math.ceil(resetMs / 1000)),
      };
    },
    async giveBack(key) {
      await counters.add(nowKey(key), -1, windowSeconds);
      if (grows) await counters.add(dayKey(key), -1, memorySeconds);
    },
    async forgive(key) {
      await counters.remove(nowKey(key));
      if (grows) await counters.remove(dayKey(key));
      return { name, allowed: true, limit, windowSeconds, remaining: limit, resetSeconds: windowSeconds };
    },
  };
}
