import { setTimeout as sleep } from "node:timers/promises";
import type { Db, ObjectId } from "mongodb";
import { failure } from "../lib/failure.ts";
import { isUnavailable } from "../lib/mongo/mongo.ts";
import type { Places } from "../lib/limit/places.ts";
import { writeNotes } from "./copy/journal.ts";
import type { Deployments } from "./deployments.ts";
import type { Lease, Leases } from "./lease.ts";
import { type Late, openScope, type TenantScope } from "./scope.ts";

export type TenantFailure = "tenant_gone" | "tenant_moving" | "documents_busy" | "organization_without_place";

/** What a caller is about to do: read, or write the documents with these ids. */
export type Intent = "read" | { write: readonly unknown[] };

/** The way to tenants' documents: connections that nothing else uses, and the places of those who are at work there. */
export type Documents = { deployments: Deployments; places: Places };

/** `late` ends queries that nobody waits for any more; what is a matter of milliseconds is not ended by it. */
export type DoorDeps = { db: Db; documents: Documents; leases: Leases; late?: Late };

/** How long a writer waits in the gate, and how often one thing is done again, before it is refused. */
const waitMsMax = 5_000;
const pollMs = 20;

const moving = () =>
  failure<TenantFailure>("tenant_moving", "The organization is being moved; try again shortly.", {
    retryAfterSeconds: 1,
  });

export const busy = () =>
  failure<TenantFailure>("documents_busy", "Too many requests are reading or writing documents; try again shortly.", {
    retryAfterSeconds: 1,
  });

/** What `use` throws when it needs something that takes long and isn't the database's to do: this is done, and `use` runs again. */
export const aside = (work: () => Promise<void>): Error & { aside: () => Promise<void> } =>
  Object.assign(new Error("to be done without a place"), { aside: work });

const workAside = (error: unknown): (() => Promise<void>) => {
  const work = (error as Partial<ReturnType<typeof aside>> | null)?.aside;
  if (!work) throw error;
  return work;
};

/**
 * The one door to a tenant's documents: whatever reads or writes them goes through it (protocol: rules 1 to 3).
 *
 * A write is noted first while the tenant is being copied. What came out is given to the caller only if the lease still
 * held when the database answered, or if the organization says that nothing has changed since; otherwise it is done again
 * where the documents are now. So `use` may run several times, and a write has to recognize its own first try. Others have its
 * place while it has something done `aside`.
 *
 * @throws Failure `tenant_gone`, `tenant_moving`, `documents_busy`, `organization_without_place`; what `use` throws, when that
 * is sure to be true of where the documents are
 */
export async function withTenant<T>(
  { db, documents, leases, late }: DoorDeps,
  organizationId: ObjectId,
  intent: Intent,
  use: (scope: TenantScope) => Promise<T>,
): Promise<T> {
  if (!organizationId) throw new Error("There is no way to documents without a tenant");
  const writes = intent === "read" ? null : intent.write;
  let deadline = performance.now() + waitMsMax;
  for (let again = false; ; again = true) {
    if (again && performance.now() > deadline) throw moving();
    // Before the lease, which would run out meanwhile.
    const leave = await documents.places.enter(organizationId.toHexString());
    if (!leave) throw busy();
    let work: (() => Promise<void>) | null = null;
    try {
      const lease = await leases.acquire(organizationId);
      if (!lease) throw failure<TenantFailure>("tenant_gone", "Organization not found.");
      if (!hasToWait(lease, intent)) {
        const note = async () => {
          if (writes && lease.move?.phase === "journal") await writeNotes(db, lease.move.operation_id, writes);
        };
        await note();
        const outcome = await settle(() => use(openScope(documents.deployments, lease.placement, late)));
        if (leases.holds(lease)) return outcome();
        // The first note may have been worked off before the write took effect.
        await note();
        const now = await leases.renew(organizationId);
        if (now && isUnchanged(lease, now)) return outcome();
        continue;
      }
    } catch (error) {
      work = workAside(error);
    } finally {
      leave();
    }
    // Without a place: others go on meanwhile.
    const startedMs = performance.now();
    await (work ? work() : sleep(pollMs));
    if (work) deadline += performance.now() - startedMs;
  }
}

const hasToWait = ({ move }: Lease, intent: Intent): boolean =>
  move?.phase === "sealed" || (move?.phase === "gate" && intent !== "read");

/** Keeps what came out, a failure too, until it is known whether it counts. That the database is away counts always. */
async function settle<T>(use: () => Promise<T>): Promise<() => T> {
  try {
    const value = await use();
    return () => value;
  } catch (error) {
    if (isUnavailable(error)) throw error;
    return () => {
      throw error;
    };
  }
}

const isUnchanged = (before: Lease, now: Lease): boolean =>
  before.placement.epoch === now.placement.epoch && before.move?.phase === now.move?.phase;
