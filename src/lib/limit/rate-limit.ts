import type { Count, Counters } from "./counters.ts";

/** What one limit says to one request. */
export type Taken = {
  name: string;
  allowed: boolean;
  limit: number;
  windowSeconds: number;
  remaining: number;
  resetSeconds: number;
  /** When the window ends in which it was counted, and the day, in milliseconds since 1970. */
  endsMs: number;
  dayEndsMs: number | null;
};

export type RateLimit = {
  /** Counts a request. */
  take(key: string): Promise<Taken>;
  /** Counts nothing. @returns what holds when a request would be refused now, else null */
  spent(key: string): Promise<Taken | null>;
  /** Takes the count of one request back while its window is open. @returns what holds from now on */
  giveBack(key: string, taken: Taken): Promise<Taken>;
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
  const windowAfter = (used: number) =>
    Math.min(windowSeconds * 2 ** Math.floor(Math.max(0, used) / limit), windowSecondsMax);
  const readDay = async (key: string) => (grows ? ((await counters.read(dayKey(key)))?.count ?? 0) : 0);
  /** @param before the day's count before the open window began */
  const whatHolds = ({ count, endsMs }: Count, before: number) => ({
    name,
    limit,
    windowSeconds: windowAfter(before),
    remaining: Math.max(0, limit - count),
    resetSeconds: Math.max(1, Math.ceil((endsMs - Date.now()) / 1000)),
    endsMs,
  });

  return {
    async take(key) {
      const before = await readDay(key);
      const now = await counters.add(nowKey(key), 1, windowAfter(before));
      const allowed = now.count <= limit;
      const day = grows && allowed ? await counters.add(dayKey(key), 1, memorySeconds) : null;
      const letThrough = Math.min(now.count - 1, limit);
      return { ...whatHolds(now, before - letThrough), allowed, dayEndsMs: day?.endsMs ?? null };
    },
    async spent(key) {
      const now = await counters.read(nowKey(key));
      if (!now || now.count < limit) return null;
      return { ...whatHolds(now, (await readDay(key)) - limit), allowed: false, dayEndsMs: null };
    },
    async giveBack(key, taken) {
      // Clocks differ a little, and a window after this one ends a whole window later.
      const toleranceMs = windowSeconds * 500;
      const isBack = await counters.takeBack(nowKey(key), taken.endsMs + toleranceMs);
      if (!isBack) return taken;
      // Only with the other: how long the open window is follows from both.
      if (taken.dayEndsMs !== null) await counters.takeBack(dayKey(key), taken.dayEndsMs + toleranceMs);
      return { ...taken, remaining: taken.remaining + 1 };
    },
    async forgive(key) {
      await counters.remove(nowKey(key));
      if (grows) await counters.remove(dayKey(key));
      const none = { endsMs: 0, dayEndsMs: null };
      return { name, allowed: true, limit, windowSeconds, remaining: limit, resetSeconds: windowSeconds, ...none };
    },
  };
}
