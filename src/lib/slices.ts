/** Short enough for a request that is answered in a millisecond, long enough not to be felt by the work itself. */
const sliceMs = 3;

/** Of each key those that wait for their next slice; the key that had one last stands last. */
const waiting = new Map<string, (() => void)[]>();

function giveTurn(): void {
  const [first] = waiting;
  if (!first) return;
  const [key, queue] = first;
  waiting.delete(key);
  const come = queue.shift()!;
  if (queue.length > 0) waiting.set(key, queue);
  if (waiting.size > 0) setImmediate(giveTurn);
  come();
}

function turn(key: string): Promise<void> {
  if (waiting.size === 0) setImmediate(giveTurn);
  const { promise, resolve } = Promise.withResolvers<void>();
  const queue = waiting.get(key);
  if (queue) queue.push(resolve);
  else waiting.set(key, [resolve]);
  return promise;
}

/** Null as long as the work may go on, else what it has to wait for. */
export type Slice = () => Promise<void> | null;

/**
 * For work that would keep the event loop for long: between two pieces of it the slice is asked. When it is used up, what has
 * arrived meanwhile goes first, and of those who have more to do one at a time, each key in turn: whoever has much to do
 * holds up only itself. There is one event loop in a process, so all share one order.
 *
 * @param key whose work it is
 * @param signal ends the work when nobody waits for it any more: its reason is thrown
 */
export function createSlice(key: string, signal?: AbortSignal): Slice {
  let startedMs = performance.now();
  return () => {
    if (performance.now() - startedMs < sliceMs) return null;
    return turn(key).then(() => {
      signal?.throwIfAborted();
      startedMs = performance.now();
    });
  };
}
