import { setTimeout as sleep } from "node:timers/promises";

const everyMs = 250;

/**
 * Waits for one thing that may take long, and keeps a lease held meanwhile.
 *
 * @throws what `keepHeld` throws when the lease was lost: the work may still be going on then
 */
export async function whileHeld<T>(keepHeld: () => Promise<void>, work: Promise<T>): Promise<T> {
  // It is waited for below; if the lease is lost before, nobody asks for its failure any more.
  work.catch(() => {});
  const ended = work.then(
    () => true,
    () => true,
  );
  for (;;) {
    const waiting = new AbortController();
    const isOver = await Promise.race([ended, sleep(everyMs, false, waiting).catch(() => false)]);
    waiting.abort();
    if (isOver) return await work;
    await keepHeld();
  }
}
