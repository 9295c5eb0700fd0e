import { setTimeout as sleep } from "node:timers/promises";

/** Waits for something, but not for longer; no timer is left, which would keep a command that is done from ending. */
export async function atMost(ms: number, what: Promise<unknown>): Promise<void> {
  const waiting = new AbortController();
  const late = sleep(ms, undefined, { signal: waiting.signal }).catch(() => {});
  await Promise.race([what, late]).finally(() => waiting.abort());
}
