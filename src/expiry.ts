import { recoveriesExpire } from "./admin/recovery-store.ts";
import type { Config } from "./config.ts";
import type { Deps } from "./deps.ts";
import { insertsExpire } from "./document/idempotency.ts";
import { countersExpire } from "./lib/limit/counters.ts";
import { type Expiring, removeExpired, sweepEveryMs } from "./lib/mongo/expiry.ts";
import { primariesExpire } from "./lib/mongo/primary.ts";
import { operationsExpire } from "./operation/store.ts";
import { revocationsExpire } from "./session/revocation/revocation-store.ts";
import { sessionsExpire } from "./session/session-store.ts";

/** All that ends by itself: an index is made for each of these, and each is swept. */
export const expiringIn = ({ limits }: Pick<Config, "limits">): Expiring[] => [
  operationsExpire,
  insertsExpire,
  primariesExpire,
  revocationsExpire,
  sessionsExpire,
  recoveriesExpire,
  ...(limits.store === "memory" ? [] : [countersExpire]),
];

/**
 * Does what MongoDB's TTL monitor does; not every engine has one that runs. Any process may, several at once too.
 *
 * @param everyMs how long it rests when nothing is left
 */
export function createExpiryChore(
  { db, now, config }: Pick<Deps, "db" | "now" | "config">,
  everyMs = sweepEveryMs,
): () => Promise<void> {
  let nextMs = 0;
  return async () => {
    if (performance.now() < nextMs) return;
    let isMore = false;
    for (const each of expiringIn(config)) isMore = (await removeExpired(db, each, now())) || isMore;
    // There may be more: it goes on at once.
    if (!isMore) nextMs = performance.now() + everyMs;
  };
}
