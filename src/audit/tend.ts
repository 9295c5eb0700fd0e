import type { Deps } from "../deps.ts";
import { finishPending } from "./audited.ts";
import { retain } from "./retain.ts";

const pendingEveryMs = 10_000;
const retainEveryMs = 60 * 60_000;
/** An act is over when its request is; twice that, for one that is given up and goes on, and for clocks that differ. */
const pendingAfterMs = ({ requestTimeoutMs }: Deps["config"]) => Math.max(60_000, 2 * requestTimeoutMs);

/** What a worker does for the record between operations; any process may, several at once too. */
export function createAuditChores(deps: Pick<Deps, "db" | "now" | "config" | "log" | "audit">): () => Promise<void> {
  let pendingAtMs = 0;
  let retainAtMs = 0;
  return async () => {
    const nowMs = performance.now();
    if (nowMs >= pendingAtMs) {
      pendingAtMs = nowMs + pendingEveryMs;
      const count = await finishPending(deps, pendingAfterMs(deps.config));
      if (count > 0) deps.log.warn({ count }, "acts without a reported outcome recorded as unknown");
    }
    if (nowMs >= retainAtMs) {
      const removed = await retain(deps);
      // There may be more: it goes on at once.
      if (removed === 0) retainAtMs = nowMs + retainEveryMs;
      else deps.log.info({ removed }, "expired audit entries removed");
    }
  };
}
