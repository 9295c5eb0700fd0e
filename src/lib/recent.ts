import { LRUCache } from "lru-cache";

/** What a process remembers for a moment, so that not each request asks for it. */
export type Recent<K, V> = {
  /** As it was at some time within the last `ttlMs`; null, which isn't remembered, when there is none. */
  find(key: K): Promise<V | null>;
  /** It has been changed: who asks from now on is told anew. */
  forget(key: K): void;
};

/**
 * Those who ask for one thing at the same time ask once. An answer is as old as its question, not as its arrival, and one that
 * was asked for before something was forgotten isn't remembered.
 *
 * @param options.max how many are remembered; those that were used longest ago go first
 */
export function createRecent<K extends { toString(): string }, V extends object>(options: {
  max: number;
  ttlMs: number;
  find: (key: K) => Promise<V | null>;
}): Recent<K, V> {
  const recent = new LRUCache<string, V>({ max: options.max, ttl: options.ttlMs, allowStale: false });
  const asked = new Map<string, { startMs: number; answer: Promise<V | null> }>();
  let forgotten = 0;

  const ask = async (key: K): Promise<V | null> => {
    const start = performance.now();
    const before = forgotten;
    const found = await options.find(key);
    if (found && before === forgotten) recent.set(key.toString(), found, { start });
    return found;
  };

  return {
    async find(key) {
      const text = key.toString();
      const known = recent.get(text);
      if (known) return known;
      const asking = asked.get(text);
      const startMs = performance.now();
      if (asking && asking.startMs + options.ttlMs > startMs) return await asking.answer;
      const answer = ask(key).finally(() => {
        if (asked.get(text) === own) asked.delete(text);
      });
      const own = { startMs, answer };
      asked.set(text, own);
      return await answer;
    },
    forget(key) {
      forgotten++;
      recent.delete(key.toString());
      asked.delete(key.toString());
    },
  };
}
