import type { Logger } from "pino";

/** That this process runs, as the others know it, and what it knows of them. */
export type Presence = {
  /** Makes this process known; from then on it is said again and again. @throws Error when the database doesn't take it */
  announce(): Promise<void>;
  /** Until when the others are sure to know of this process, by its monotonic clock; long ago when they aren't now. */
  knownUntilMs(): number;
  /** The longest lease of a placement that any process may be using, this one's at least; see below when to ask. */
  longestLeaseMs(): Promise<number>;
  /** From now on it isn't known, and nobody waits for its leases. */
  stop(): Promise<void>;
};

/** After so long a silence, by the database's clock, a process is taken for dead. */
const silenceMsMax = 10 * 60_000;
/** For so long, by its own clock, it counts on being known: half as long, as neither clock is exact. */
const knownMs = silenceMsMax / 2;
const announceEveryMs = 60_000;

const silentBefore = (now: Date) => new Date(now.getTime() - silenceMsMax);

/**
 * Processes need not have the same setting for their leases: whoever moves something waits for the longest one in use. That
 * none is overlooked rests on an order in each of the two.
 *
 * - Who uses placements: its record, with its setting, is acknowledged by the majority before it asks an organization for a
 *   lease, and for as long as a lease from that holds it is known (`knownUntilMs`, looked at before it asks).
 * - Who moves: what organizations say (the phase of a move, that it is being deleted) is acknowledged before it reads the
 *   records (`longestLeaseMs`), and before it sees a note that it is to judge by them.
 *
 * So either the record was there when the mover read, or the lease was asked for after the organization had changed: then it
 * is one of the new phase. A record goes when its process uses no lease any more: when it is stopped, or was silent for so
 * long that it had stopped counting on it long before. A process that stood still takes leases that hold again when it has
 * announced itself again; until then each use of a placement is confirmed by another look at the organization.
 *
 * @param leaseMs this process's own
 */
export function createPresence(options: {
  store: {
    /** @returns the database's time */
    writeSeen(): Promise<Date>;
    findLongestLease(since: Date | null): Promise<number>;
    removeSilent(before: Date): Promise<void>;
    remove(): Promise<void>;
  };
  leaseMs: number;
  log: Logger;
  nowMs?: () => number;
}): Presence {
  const { store, leaseMs, log, nowMs = () => performance.now() } = options;
  let untilMs = Number.NEGATIVE_INFINITY;
  let seenAt: Date | null = null;
  let announcing: Promise<void> | null = null;
  let repeating: Timer | null = null;
  let stopped = false;

  const write = async () => {
    const askedMs = nowMs();
    const isFirst = seenAt === null;
    seenAt = await store.writeSeen();
    untilMs = askedMs + knownMs;
    if (isFirst) await store.removeSilent(silentBefore(seenAt));
  };
  const announce = (): Promise<void> => {
    if (stopped) return Promise.resolve();
    // Not what a command that is done would have to wait for.
    repeating ??= setInterval(announceAside, announceEveryMs).unref();
    return (announcing ??= write().finally(() => (announcing = null)));
  };
  const announceAside = () =>
    void announce().catch((error) => log.warn({ err: error }, "process could not be registered"));

  return {
    announce,
    knownUntilMs() {
      if (stopped) return Number.NEGATIVE_INFINITY;
      // Nobody is kept waiting for it: meanwhile no lease holds.
      if (nowMs() >= untilMs) announceAside();
      return untilMs;
    },
    async longestLeaseMs() {
      // The database's time is later than this: so none is left out too early.
      return Math.max(leaseMs, await store.findLongestLease(seenAt && silentBefore(seenAt)));
    },
    async stop() {
      stopped = true;
      if (repeating) clearInterval(repeating);
      await announcing?.catch(() => {});
      if (repeating) await store.remove().catch(() => {});
    },
  };
}
