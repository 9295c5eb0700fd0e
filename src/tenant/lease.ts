import type { ObjectId } from "mongodb";
import { LRUCache } from "lru-cache";
import type { Networks } from "../lib/net/cidr.ts";
import type { Placement } from "./placement.ts";

/**
 * What the organization says of its place at one moment. While a move copies (`journal`) a writer notes what it touches;
 * in the `gate` writers wait; while a collection is renamed (`sealed`) readers do too, or they would find nothing there.
 */
export type MovePhase = "journal" | "gate" | "sealed";
export type Standing = {
  placement: Placement;
  move?: { operation_id: ObjectId; phase: MovePhase };
  /** Where those who use the documents may come from; from anywhere when it isn't said. */
  allows?: Networks;
};

/** A placement that a process uses: as it was read, and until when it may be used without asking again. */
export type Lease = Standing & { untilMs: number; generation: number };

export type Leases = {
  /** The lease that the process holds, or a new one. Null when the organization isn't there. */
  acquire(organizationId: ObjectId): Promise<Lease | null>;
  /** Asks again, whatever is held. */
  renew(organizationId: ObjectId): Promise<Lease | null>;
  /** This process has changed the organization: the next who needs a lease asks again. */
  forget(organizationId: ObjectId): void;
  /** Whether a lease still holds now, by this process's monotonic clock. */
  holds(lease: Lease): boolean;
};

/** How many tenants' leases a process keeps; the others are asked for again. */
const leasesMax = 10_000;

/** While a move goes on a lease lasts half as long, so that its gate, which waits for one, is short. */
export const moveLeaseMs = (leaseMs: number): number => leaseMs / 2;

/** An organization in the gate, and one that is sealed, gives no lease. */
const isClosed = ({ move }: Standing): boolean => move?.phase === "gate" || move?.phase === "sealed";

export type Primary = {
  /** Counts the changes of the server that decides. */
  generation(): number;
  /** Resolves when all that was acknowledged before the last change can be read. */
  settled(): Promise<void>;
};

/**
 * Placements by lease (protocol: rules 1 and 2). A lease is counted from before it was asked for, and none is given
 * by an organization in the gate, or a reader would go on reading the old side after the cutover. What was read from a
 * server that is no longer the primary may be old, so a change of the primary ends every lease. Movers wait for the leases of
 * the processes that they know of: so one holds only as long as this process was known already before it was asked for.
 *
 * @param read what the organization says, acknowledged by the majority; null when it isn't there
 * @param knownUntilMs until when movers are sure to know of this process and its `leaseMs`, by the same clock
 */
export function createLeases(options: {
  read: (organizationId: ObjectId) => Promise<Standing | null>;
  leaseMs: number;
  knownUntilMs: () => number;
  primary: Primary;
  nowMs?: () => number;
}): Leases {
  const { read, leaseMs, knownUntilMs, primary, nowMs = () => performance.now() } = options;
  const held = new LRUCache<string, Lease>({ max: leasesMax });
  const asked = new Map<string, Promise<Lease | null>>();
  let forgotten = 0;

  const holds = ({ untilMs, generation }: Lease) => nowMs() < untilMs && generation === primary.generation();

  const ask = async (organizationId: ObjectId): Promise<Lease | null> => {
    const id = organizationId.toHexString();
    await primary.settled();
    const generation = primary.generation();
    const before = forgotten;
    const knownMs = knownUntilMs();
    const askedMs = nowMs();
    const standing = await read(organizationId);
    const lastsMs = standing?.move ? moveLeaseMs(leaseMs) : leaseMs;
    const lease = standing && {
      ...standing,
      generation,
      untilMs: isClosed(standing) ? Number.NEGATIVE_INFINITY : Math.min(askedMs + lastsMs, knownMs),
    };
    if (lease && holds(lease) && before === forgotten) held.set(id, lease);
    else held.delete(id);
    return lease;
  };

  return {
    holds,
    renew: ask,
    forget(organizationId) {
      forgotten++;
      held.delete(organizationId.toHexString());
      asked.delete(organizationId.toHexString());
    },
    async acquire(organizationId) {
      const id = organizationId.toHexString();
      const lease = held.get(id);
      if (lease && holds(lease)) return lease;
      // Those who need it at the same time ask once: it counts from before any of them had it.
      const asking = asked.get(id) ?? ask(organizationId).finally(() => asked.delete(id));
      asked.set(id, asking);
      return await asking;
    },
  };
}
