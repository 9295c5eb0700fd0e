import { setTimeout as sleep } from "node:timers/promises";
import { driveAbandoned, type DriveDeps } from "./operation/drive.ts";

export type RunningWorker = { stop(): Promise<void> };

/** How many operations a process drives at once that are not driven by a request: a long move must not hold up the others. */
const lanes = 4;

/**
 * Looks again and again for operations that their process left unfinished or that wait for a worker, and drives them to
 * their end; in between it does its `chores`. One that is stopped in the middle is left for the next.
 */
export function startWorker(deps: DriveDeps, chores: (() => Promise<void>)[], everyMs = 1_000): RunningWorker {
  const stopping = new AbortController();
  const { signal } = stopping;
  const repeat = async (what: string, task: () => Promise<unknown>) => {
    while (!signal.aborted) {
      await task().catch((error) => deps.log.warn({ err: error }, what));
      // Not all processes at once, nor all lanes of one.
      await sleep(everyMs * (0.75 + Math.random() / 2), undefined, { signal }).catch(() => {});
    }
  };
  const running = Promise.all([
    ...Array.from({ length: lanes }, () =>
      repeat("no look for open operations", () => driveAbandoned(deps, Number.POSITIVE_INFINITY, signal)),
    ),
    ...chores.map((each) => repeat("chores not done", each)),
  ]);
  return {
    stop: async () => {
      stopping.abort();
      await running;
    },
  };
}
