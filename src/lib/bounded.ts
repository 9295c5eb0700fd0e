import { LRUCache } from "lru-cache";
import type { Counters } from "./counters.ts";

/** The same counters for so many keys at the most: beyond it, the count of the one that was used least lately is forgotten. */
export function boundKeys(counters: Counters, keysMax: number): Counters {
  const used = new LRUCache<string, true>({
    max: keysMax,
    dispose: (_true, key, reason) => {
      if (reason === "evict") void counters.remove(key);
    },
  });
  return {
    ...counters,
    add(key, by, windowSeconds) {
      used.set(key, true);
      return counters.add(key, by, windowSeconds);
    },
    remove(key) {
      used.delete(key);
      return counters.remove(key);
    },
  };
}
