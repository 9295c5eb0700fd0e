import type { Db, ObjectId } from "mongodb";
import type { Logger } from "pino";
import type { Tier } from "../tenant/placement.ts";
import type { Counting } from "./count.ts";
import {
  type Amount,
  amount,
  type Dimension,
  dimensions,
  exceeded,
  isLimited,
  isNothing,
  nothing,
  type Quotas,
  quotaExceeded,
  type UsageView,
} from "./quota.ts";
import { giveBack, take } from "./store.ts";

type Whose = { organizationId: ObjectId; tier: Tier };
type Grown<T> = { outcome: T; grown: Amount };

/** How much organizations have, and that none gets more than its quota. */
export type Usage = {
  /**
   * Does a write once there is room for what it may add. When it throws, nobody knows what became of it: then it counts as
   * done until the documents are counted again.
   *
   * @param need at the most, nothing negative; nothing at all never waits and is never refused
   * @param write tells how much there is more after it, or less
   * @throws Failure `quota_exceeded`; what `write` throws
   */
  growing<T>(whose: Whose, need: Amount, write: () => Promise<Grown<T>>): Promise<T>;
  /** Less is there than was said: what was written has been left behind. */
  shrunk(organizationId: ObjectId, less: Amount): void;
  view(organizationId: ObjectId, tier: Tier): Promise<UsageView>;
  /** @throws Failure `quota_exceeded` when an organization has more than a tier lets it have; not while nobody has counted */
  assertFits(organizationId: ObjectId, tier: Tier): Promise<void>;
  /** Counts what an organization has, unless another process does. */
  count(organizationId: ObjectId): Promise<void>;
  /** Gives back what is set aside, and sets nothing more aside. */
  stop(): Promise<void>;
};

/** As `growing` above; without quotas it is the write alone. */
export const growing = async <T>(
  usage: Usage | undefined,
  whose: Whose,
  need: Amount,
  write: () => Promise<Grown<T>>,
): Promise<T> => (usage ? await usage.growing(whose, need, write) : (await write()).outcome);

/**
 * `room` is taken in the record and not used yet; `freed` is there no more and the record doesn't know it yet. `usedLast`: what
 * the record said when something was taken; `taking`: somebody asks for more room.
 */
type Held = { id: ObjectId; room: Amount; freed: Amount; usedLast: Amount | null; taking: Promise<void> | null };

/** So long a process keeps what it has set aside, and others don't know what it has freed. */
const keptMs = 2_000;
/** Of so many organizations; then all give back at once. */
const heldMax = 10_000;
const writesAtOnce = 1_000;
/** What is set aside at the most, and which part of what is left of the quota. */
const asideMost: Amount = { documents: 256, bytes: 2 ** 20 };
const asidePart = 64;

/**
 * Usage without a statement for each write. A record per organization says how much it has, and a process takes room there
 * ahead of its writes, by one guarded statement: so the records never say more than the quota, however many processes write.
 * Who writes once in a while takes just what a write needs; who goes on takes some more, a small part of what is left, and
 * gives back what wasn't used, with what was freed, every `keptMs`. What a process held that was killed is in the record and
 * nowhere else, until the documents are counted.
 */
export function createUsage(options: {
  db: Db;
  quotas: Quotas;
  counting: Counting;
  now: () => Date;
  log: Logger;
}): Usage {
  const { db, quotas, counting, now, log } = options;
  const held = new Map<string, Held>();
  let timer: Timer | null = null;
  let stopped = false;

  const smallest = amount((each) => Math.min(...Object.values(quotas.tiers).map((quota) => quota[each] ?? Infinity)));
  /** An organization may come to any tier: to none it seems to have much more than it has. */
  const most = amount((each) => Math.min(asideMost[each], Math.floor(smallest[each] / asidePart)));

  async function heldOf(id: ObjectId): Promise<Held> {
    const key = id.toHexString();
    const known = held.get(key);
    if (known) return known;
    if (held.size >= heldMax) await flush();
    return hold(id);
  }
  function hold(id: ObjectId): Held {
    const key = id.toHexString();
    const one = held.get(key) ?? { id, room: nothing, freed: nothing, usedLast: null, taking: null };
    held.set(key, one);
    if (!stopped) timer ??= setTimeout(() => void flush(), keptMs).unref();
    return one;
  }

  async function flush(): Promise<void> {
    if (timer) clearTimeout(timer);
    timer = null;
    const given: { id: ObjectId; less: Amount }[] = [];
    for (const [key, one] of held) {
      const less = amount((each) => one.room[each] + one.freed[each]);
      if (!isNothing(less)) given.push({ id: one.id, less });
      one.room = one.freed = nothing;
      if (!one.taking) held.delete(key);
    }
    for (let start = 0; start < given.length; start += writesAtOnce) {
      const some = given.slice(start, start + writesAtOnce);
      await giveBack(db, some, now()).catch((error) => {
        log.warn({ err: error }, "what organizations have less is not written yet");
        if (!stopped) for (const { id, less } of some) shrunk(id, less);
      });
    }
  }

  function shrunk(id: ObjectId, less: Amount): void {
    if (isNothing(less)) return;
    const one = hold(id);
    one.freed = amount((each) => one.freed[each] + less[each]);
  }

  /** Makes `room` as large as a need; with more beside where there may be. */
  async function makeRoom(one: Held, need: Amount, tier: Tier): Promise<void> {
    const quota = quotas.tiers[tier];
    const { id, room, freed, usedLast } = one;
    // They go into the statement, and nobody else's.
    one.room = one.freed = nothing;
    const isShort = (each: Dimension) => need[each] > room[each];
    const aside = amount((each) => {
      if (!usedLast || stopped || !isShort(each)) return 0;
      const left = (quota[each] ?? Infinity) - usedLast[each];
      return Math.max(0, Math.min(most[each], Math.floor(left / asidePart)));
    });
    const attempt = async (beside: Amount, onlyCounted: boolean): Promise<boolean> => {
      const next = amount((each) => (isShort(each) ? need[each] + beside[each] : room[each]));
      const more = amount((each) => next[each] - room[each] - freed[each]);
      // What doesn't grow is not refused, however much there is.
      const limit = (each: Dimension) => (onlyCounted && isShort(each) ? quota[each] : null);
      const limits = { documents: limit("documents"), bytes: limit("bytes") };
      const taken = await take(db, id, more, limits, onlyCounted, now());
      if (!taken && onlyCounted) return false;
      one.room = next;
      one.usedLast = taken;
      return true;
    };
    try {
      if (await attempt(aside, true)) return;
      const record = await counting.known(id, isLimited(quota));
      // Nobody knows yet: it is not refused for that.
      if (!record?.counted_at) return void (await attempt(nothing, false));
      if (await attempt(nothing, true)) return;
      const used = amount((each) => record[each] - room[each] - freed[each]);
      const wanted = amount((each) => (isShort(each) ? used[each] + need[each] : 0));
      const name = exceeded(quota, wanted) ?? dimensions.find((each) => isShort(each) && quota[each] !== null)!;
      throw quotaExceeded(name, quota[name]!, used[name]);
    } catch (error) {
      one.room = amount((each) => one.room[each] + room[each]);
      one.freed = amount((each) => one.freed[each] + freed[each]);
      throw error;
    }
  }

  /** How much an organization has, without what this process has set aside; null while nobody has counted. */
  async function usedBy(id: ObjectId): Promise<(Amount & { counted_at: Date }) | null> {
    const record = await counting.known(id, true);
    if (!record?.counted_at) return null;
    const { room, freed } = held.get(id.toHexString()) ?? { room: nothing, freed: nothing };
    return { ...amount((each) => record[each] - room[each] - freed[each]), counted_at: record.counted_at };
  }

  async function reserve(id: ObjectId, tier: Tier, need: Amount): Promise<void> {
    if (isNothing(need)) return;
    for (;;) {
      const one = await heldOf(id);
      if (dimensions.every((each) => one.room[each] >= need[each])) {
        one.room = amount((each) => one.room[each] - need[each]);
        return;
      }
      // One after the other: they would only get in each other's way.
      if (one.taking) await one.taking.catch(() => {});
      else await (one.taking = makeRoom(one, need, tier).finally(() => (one.taking = null)));
    }
  }

  return {
    shrunk,
    count: (id) => counting.count(id),
    async growing({ organizationId, tier }, need, write) {
      await reserve(organizationId, tier, need);
      const { outcome, grown } = await write();
      shrunk(
        organizationId,
        amount((each) => need[each] - grown[each]),
      );
      return outcome;
    },
    async view(id, tier) {
      const used = await usedBy(id);
      const of = (each: Dimension) => ({ used: used?.[each] ?? null, limit: quotas.tiers[tier][each] });
      return { documents: of("documents"), bytes: of("bytes"), counted_at: used?.counted_at.toISOString() ?? null };
    },
    async assertFits(id, tier) {
      const quota = quotas.tiers[tier];
      const used = isLimited(quota) && (await usedBy(id));
      const name = used && exceeded(quota, used);
      if (name) throw quotaExceeded(name, quota[name]!, used[name]);
    },
    async stop() {
      stopped = true;
      await flush();
    },
  };
}
