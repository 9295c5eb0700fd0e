import DataLoader from "dataloader";

/** How many look-ups go to the database in one statement at the most. */
const batchSizeMax = 256;

/**
 * Look-ups of single records that arrive together go to the database together: one statement for all that came in the
 * same turn of the event loop. Nothing is cached; every look-up is sent after it was asked for.
 *
 * @param find gets keys that may repeat and answers in any order, leaving out what isn't there
 * @param keyOf the key of what was found, as text
 */
export function together<K extends { toString(): string }, V>(
  find: (keys: readonly K[]) => Promise<V[]>,
  keyOf: (value: V) => string,
): (key: K) => Promise<V | null> {
  const loader = new DataLoader<K, V | null>(
    async (keys) => {
      const found = new Map((await find(keys)).map((value) => [keyOf(value), value]));
      return keys.map((key) => found.get(key.toString()) ?? null);
    },
    { cache: false, maxBatchSize: batchSizeMax, batchScheduleFn: (send) => setImmediate(send) },
  );
  return (key) => loader.load(key);
}
