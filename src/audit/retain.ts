import type { Deps } from "../deps.ts";
import { beginAfter, findChainsOlderThan, findFirst, removeUpTo } from "./store.ts";

const dayMs = 86_400_000;
const atOnceMax = 5_000;

/** From when on entries are kept; null: all are. */
export const keptSince = ({ now, config }: Pick<Deps, "now" | "config">): Date | null =>
  config.auditRetentionDays === 0 ? null : new Date(now().getTime() - config.auditRetentionDays * dayMs);

/**
 * Removes the entries of a chain that are older than they are kept, from its beginning up to the first that isn't, and says
 * where the chain begins then: so what is missing for its age can be told from what somebody took away.
 *
 * @returns how many were removed
 */
async function retainIn(db: Deps["db"], chain: string, before: Date): Promise<number> {
  const first = await findFirst(db, chain, atOnceMax);
  const keptFrom = first.findIndex(({ at }) => !(at < before));
  const last = first.slice(0, keptFrom === -1 ? first.length : keptFrom).at(-1);
  if (!last) return 0;
  await beginAfter(db, chain, last);
  return await removeUpTo(db, chain, last.seq);
}

/**
 * Removes entries that are older than `AUDIT_RETENTION_DAYS`, some at a time.
 *
 * @returns how many; when there are more, it is not 0
 */
export async function retain(deps: Pick<Deps, "db" | "now" | "config">): Promise<number> {
  const { db } = deps;
  const before = keptSince(deps);
  if (!before) return 0;
  let removed = 0;
  for (const chain of await findChainsOlderThan(db, before, atOnceMax)) removed += await retainIn(db, chain, before);
  return removed;
}
