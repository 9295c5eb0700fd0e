import { setTimeout as sleep } from "node:timers/promises";
import { driveAbandoned, type DriveDeps } from "./operation/drive.ts";

export type RunningWorker = { stop(): Promise<void> };

const budgetMs = 60_000;

/** Looks again and again for operations that their process left unfinished, and finishes them. */
export function startWorker(deps: DriveDeps, everyMs = 1_000): RunningWorker {
  const stopping = new AbortController();
  const running = (async () => {
    while (!stopping.signal.aborted) {
      await driveAbandoned(deps, budgetMs).catch((error) =>
        deps.log.warn({ err: error }, "no look for open operations"),
      );
      await sleep(everyMs, undefined, { signal: stopping.signal }).catch(() => {});
    }
  })();
  return {
    stop: async () => {
      stopping.abort();
      await running;
    },
  };
}
