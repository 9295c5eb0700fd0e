import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { LRUCache } from "lru-cache";
import type { Db, ObjectId } from "mongodb";
import type { Logger } from "pino";
import { isFailure } from "../lib/failure.ts";
import { isLate } from "../lib/mongo/mongo.ts";
import { takeTurn } from "../lib/mongo/turn-of-all.ts";
import { type DoorDeps, withTenant } from "../tenant/door.ts";
import { amount } from "./quota.ts";
import { claimCount, find, findDue, finishCount, postponeCount, remove, type UsageRecord } from "./store.ts";

export type Counting = {
  /** Counts what an organization has, unless another process does. */
  count(organizationId: ObjectId): Promise<void>;
  /** What the record says. When nobody has counted yet that is begun: `comes` waits for it, a while, unless that is in vain. */
  known(organizationId: ObjectId): Promise<{ record: UsageRecord | null; comes?: () => Promise<void> }>;
};

/** As long as the database may take to count. */
const countMsMax = 5 * 60_000;
/** A process counts some at once: so long the others wait for their turn, and nobody for them. */
export const countWaitMs = 60_000;
const claimMs = countWaitMs + countMsMax + 10_000;
/** What couldn't be counted rests: longer when that would take too long, than when it is moved just then, say; and each time twice as long. */
const [postponedMs, tooLongMs, pauseMsMax] = [10 * 60_000, 60 * 60_000, 24 * 60 * 60_000];
/** So long a write waits for the first count of all. */
const waitMsMax = 5_000;
const pollMs = 50;

/**
 * Counts documents and their bytes, one process at a time for an organization.
 *
 * @param isThere whether there is such an organization
 */
export function createCounting(
  deps: DoorDeps & { now: () => Date; log: Logger; isThere: (organizationId: ObjectId) => Promise<boolean> },
): Counting {
  const { db, now, log } = deps;
  /** For those nobody waits again so soon: the count takes long, or fails. */
  const waitedFor = new LRUCache<string, true>({ max: 10_000, ttl: countMsMax });

  async function claim(id: ObjectId, isFirst: boolean): Promise<UsageRecord | null> {
    if (!(await deps.isThere(id))) {
      await remove(db, id);
      return null;
    }
    const at = now();
    return await claimCount(db, id, { by: randomUUID(), until: new Date(at.getTime() + claimMs) }, at, isFirst);
  }

  async function carryOut(record: UsageRecord): Promise<void> {
    try {
      const { at, before, counted } = await withTenant(deps, record._id, "read", async (scope) => ({
        at: now(),
        // It may have waited for its turn: what was written meanwhile is counted, and not to be added to that.
        before: (await find(db, record._id)) ?? record,
        counted: await scope.measure(countMsMax),
      }));
      await finishCount(
        db,
        record,
        amount((each) => counted[each] - before[each]),
        at,
      );
    } catch (error) {
      // One that is suspended waits, too.
      const isSuspended = isFailure(error) && error.failure === "tenant_gone";
      if (!isSuspended) log.warn({ organization_id: record._id, err: error }, "documents could not be counted");
      const failures = isSuspended ? 0 : (record.failures ?? 0) + 1;
      const pauseMs = (isLate(error) ? tooLongMs : postponedMs) * 2 ** Math.max(0, failures - 1);
      const until = new Date(now().getTime() + Math.min(pauseMs, pauseMsMax));
      await postponeCount(db, record, until, failures).catch(() => {});
    }
  }

  const isCounted = (record: UsageRecord) => record.counted_at !== undefined;
  const isBeingCounted = ({ counting }: UsageRecord) => counting !== undefined && counting.until > now();
  const isPostponed = ({ postponed_until }: UsageRecord) => postponed_until !== undefined && postponed_until > now();

  async function waitFor(id: ObjectId, counting: Promise<void> | null): Promise<void> {
    for (const deadline = performance.now() + waitMsMax; performance.now() < deadline;) {
      await Promise.race([sleep(pollMs), ...(counting ? [counting] : [])]);
      const record = await find(db, id);
      if (record && isCounted(record)) return;
      if (!record || !isBeingCounted(record)) break;
    }
    waitedFor.set(id.toHexString(), true);
  }

  return {
    async count(id) {
      const record = await claim(id, false);
      if (record) await carryOut(record);
    },
    async known(id) {
      const record = await find(db, id);
      if (record && (isCounted(record) || isPostponed(record))) return { record };
      const claimed = await claim(id, true);
      const counting = claimed && carryOut(claimed);
      return waitedFor.has(id.toHexString()) ? { record } : { record, comes: () => waitFor(id, counting) };
    },
  };
}

const dayMs = 24 * 60 * 60_000;
const dueAtOnce = 200;
/** So long a turn begins another count. */
const turnMs = 3_000;

/**
 * Counts again what was written to, one process at a time: when nothing was written for a while, as then it is exact, and
 * once a day in any case.
 *
 * @param quietMs longer than a request takes
 */
export function createRecountChore(
  { db, now, log }: { db: Db; now: () => Date; log: Logger },
  { count }: Pick<Counting, "count">,
  quietMs: number,
  everyMs = 30_000,
): () => Promise<void> {
  let nextMs = 0;
  let isCounting = false;
  const begin = async (id: ObjectId) => {
    isCounting = true;
    await count(id).catch((error) => log.warn({ err: error }, "documents could not be counted"));
    isCounting = false;
  };
  return async () => {
    const startedMs = performance.now();
    if (isCounting || startedMs < nextMs) return;
    nextMs = startedMs + everyMs;
    if (!(await takeTurn(db, "usage", everyMs))) return;
    const at = now();
    const before = (ms: number) => new Date(at.getTime() - ms);
    const due = await findDue(db, { now: at, quietSince: before(quietMs), overdueSince: before(dayMs) }, dueAtOnce);
    for (const { _id } of due) {
      // One that takes longer goes on beside: a process that stops doesn't wait for it.
      await Promise.race([begin(_id), sleep(turnMs, undefined, { ref: false })]);
      if (performance.now() - startedMs >= turnMs) return;
    }
  };
}
