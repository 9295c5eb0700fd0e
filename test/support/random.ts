/** Numbers between 0 and 1 that the same seed gives in the same order (mulberry32). */
export function createRandom(seed: number) {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  return {
    next,
    between: (low: number, high: number) => low + next() * (high - low),
    /** So many of them, in their own order. */
    sample: <T>(all: readonly T[], count: number): T[] => {
      const rest = [...all.keys()];
      const chosen = Array.from({ length: Math.min(count, all.length) }, () =>
        rest.splice(Math.floor(next() * rest.length), 1).at(0)!,
      );
      return chosen.sort((a, b) => a - b).map((index) => all[index]!);
    },
    pick: <T>(all: readonly T[]): T => all[Math.floor(next() * all.length)]!,
  };
}
export type Random = ReturnType<typeof createRandom>;
