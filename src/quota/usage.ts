import type { Db, ObjectId } from "mongodb";
import type { Logger } from "pino";
import { aside, busy } from "../tenant/door.ts";
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
   * done until the documents are counted again. It is run inside `withTenant`: nobody waits with a place for the first count.
   *
   * @param need at the most, nothing negative; nothing at all never waits and is never refused
   * @param write tells how much there is more after it, or less
   * @throws Failure `quota_exceeded`, `documents_busy`; what `write` throws
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

/** `room` is taken in the record and not used yet; `freed` is there no more and the record doesn't know it yet. */
type Held = { id: ObjectId; room: Amount; freed: Amount };

const empty = { room: nothing, freed: nothing };
const sum = (one: Amount, other: Amount): Amount => amount((each) => one[each] + other[each]);

/** So long a process keeps what it has set aside, and others don't know what it has freed. */
const keptMs = 2_000;
/** Of so many organizations; then all give back at once. */
const heldMax = 10_000;
const writesAtOnce = 1_000;
/** So long a write waits for others of its organization: where its documents are may have changed meanwhile. */
const waitMsMax = 10_000;
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
  /** What the records said of those for whom something was taken of late. */
  const recent = new Map<string, Amount>();
  const takings = new Map<string, Promise<void>>();
  let timer: Timer | null = null;
  let stopped = false;

  const smallest = amount((each) => Math.min(...Object.values(quotas.tiers).map((quota) => quota[each] ?? Infinity)));
  /** An organization may come to any tier: to none it seems to have much more than it has. */
  const most = amount((each) => Math.min(asideMost[each], Math.floor(smallest[each] / asidePart)));

  /** Whatever is held is given back in time. */
  function hold(id: ObjectId, room: Amount, freed: Amount): void {
    if (isNothing(room) && isNothing(freed)) return;
    if (held.size >= heldMax) void flush();
    const before = held.get(id.toHexString()) ?? empty;
    held.set(id.toHexString(), { id, room: sum(before.room, room), freed: sum(before.freed, freed) });
    if (!stopped) timer ??= setTimeout(() => void flush(), keptMs).unref();
  }

  let flushing: Promise<unknown> = Promise.resolve();
  /** With what is under way already. */
  const flush = () => (flushing = Promise.all([flushing, giveAllBack()]));

  async function giveAllBack(): Promise<void> {
    if (timer) clearTimeout(timer);
    timer = null;
    recent.clear();
    const all = [...held.values()].map(({ id, room, freed }) => ({ id, less: sum(room, freed) }));
    const given = all.filter(({ less }) => !isNothing(less));
    held.clear();
    for (let start = 0; start < given.length; start += writesAtOnce) {
      const { left, error } = await giveBack(db, given.slice(start, start + writesAtOnce), now());
      if (left.length === 0) continue;
      log.warn({ err: error }, "usage could not be written; will be retried");
      if (!stopped) for (const { id, less } of left) hold(id, nothing, less);
    }
  }

  /** Makes what is set aside as large as a need; with more beside where there may be. */
  async function makeRoom(id: ObjectId, need: Amount, tier: Tier): Promise<void> {
    const quota = quotas.tiers[tier];
    const key = id.toHexString();
    // They go into the statement, and nobody else's.
    const { room, freed } = held.get(key) ?? empty;
    held.delete(key);
    const usedLast = recent.get(key);
    const isShort = (each: Dimension) => need[each] > room[each];
    const ahead = amount((each) => {
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
      hold(id, next, nothing);
      if (taken) recent.set(key, taken);
      return true;
    };
    try {
      if (await attempt(ahead, true)) return;
      const { record, comes } = await counting.known(id);
      // Not with a place at the door.
      if (isLimited(quota) && comes) throw aside(comes);
      // Nobody knows yet: it is not refused for that. What is set aside a count would take for free.
      if (!record?.counted_at) return void (await attempt(isLimited(quota) ? nothing : ahead, false));
      if (await attempt(nothing, true)) return;
      const used = amount((each) => record[each] - room[each] - freed[each]);
      const wanted = amount((each) => (isShort(each) ? used[each] + need[each] : 0));
      const name = exceeded(quota, wanted) ?? dimensions.find((each) => isShort(each) && quota[each] !== null)!;
      throw quotaExceeded(name, quota[name]!, used[name]);
    } catch (error) {
      hold(id, room, freed);
      throw error;
    }
  }

  /** How much an organization has, without what this process has set aside; null while nobody has counted. */
  async function usedBy(id: ObjectId): Promise<(Amount & { counted_at: Date }) | null> {
    let { record, comes } = await counting.known(id);
    await comes?.();
    if (comes) ({ record } = await counting.known(id));
    if (!record?.counted_at) return null;
    const { room, freed } = held.get(id.toHexString()) ?? empty;
    return { ...amount((each) => record[each] - room[each] - freed[each]), counted_at: record.counted_at };
  }

  async function reserve(id: ObjectId, tier: Tier, need: Amount): Promise<void> {
    if (isNothing(need)) return;
    const key = id.toHexString();
    const deadline = performance.now() + waitMsMax;
    for (;;) {
      const one = held.get(key);
      if (one && dimensions.every((each) => one.room[each] >= need[each])) {
        one.room = amount((each) => one.room[each] - need[each]);
        return;
      }
      // One after the other: they would only get in each other's way.
      const taking = takings.get(key);
      if (taking) {
        if (performance.now() > deadline) throw busy();
        await taking.catch(() => {});
        continue;
      }
      const mine = makeRoom(id, need, tier).finally(() => takings.delete(key));
      takings.set(key, mine);
      await mine;
    }
  }

  const shrunk = (id: ObjectId, less: Amount) => hold(id, nothing, less);

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
