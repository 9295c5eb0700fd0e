import { setTimeout as sleep } from "node:timers/promises";
import type { Filter } from "mongodb";
import { driveFor, type DriveDeps, takeAbandoned } from "./operation/drive.ts";
import { type Held, park } from "./operation/hold.ts";
import { entriesOfFlows, type Operation } from "./operation/operation.ts";
import { release } from "./operation/store.ts";

export type RunningWorker = { stop(): Promise<void> };

/** How many operations a process drives at once that are not driven by a request. One lane more is for what is short. */
const lanes = 4;
/** How often it looks when there was nothing to do, and how long an operation is driven before another has its turn. */
type Pace = { everyMs: number; turnMs: number };
const usual: Pace = { everyMs: 1_000, turnMs: 2_000 };
/** How many operations a process holds that wait for a turn; what is urgent it takes over in any case. */
const parkedMax = 8;

/**
 * Looks again and again for operations that their process left unfinished or that wait for a worker, and drives them to
 * their end; in between it does its `chores`. Those that hold requests up come first. The others have their turns one after
 * the other, and between its turns an operation stays this process's: another driver would begin anew.
 */
export function startWorker(deps: DriveDeps, chores: (() => Promise<void>)[], pace: Pace = usual): RunningWorker {
  const stopping = new AbortController();
  const { signal } = stopping;
  const parked: { held: Held; unpark: () => void }[] = [];
  const { gated, urgent, short } = kindsOf(deps);

  const repeat = async (what: string, task: () => Promise<unknown>) => {
    while (!signal.aborted) {
      await task().catch((error) => deps.log.warn({ err: error }, what));
      // Not all processes at once, nor all lanes of one.
      await sleep(pace.everyMs * (0.75 + Math.random() / 2), undefined, { signal }).catch(() => {});
    }
  };
  const turn = async (held: Held, isNew: boolean) => {
    // A step that fails has been logged and rests; the others must not wait for it.
    const driven = await driveFor(deps, held, isNew, pace.turnMs, signal).catch(() => null);
    if (driven?.held) parked.push({ held: driven.held, unpark: park(deps, driven.held) });
  };
  /** One that nobody drives has a turn, and then one that waits for its next; until there is none. */
  const work = async (others: Filter<Operation>) => {
    for (let isIdle = false; !isIdle && !signal.aborted;) {
      const hasRoom = parked.length < parkedMax;
      const first = others === short ? gated : urgent;
      const found = (await takeAbandoned(deps, first)) ?? (hasRoom ? await takeAbandoned(deps, others) : null);
      if (found) await turn(found, true);
      const next = signal.aborted || others === short ? undefined : parked.shift();
      next?.unpark();
      if (next) await turn(next.held, false);
      isIdle = !found && !next;
    }
  };
  const running = Promise.all([
    ...Array.from({ length: lanes }, () => repeat("looking for open operations failed", () => work({}))),
    repeat("looking for short operations failed", () => work(short)),
    ...chores.map((each) => repeat("a recurring task failed", each)),
  ]);
  return {
    stop: async () => {
      stopping.abort();
      await running;
      for (const { held, unpark } of parked.splice(0)) {
        unpark();
        await release(deps.db, held.operation, 0).catch((error) =>
          deps.log.warn({ err: error }, "operation could not be released"),
        );
      }
    },
  };
}

/**
 * Operations that may have a gate closed; those that others wait for, as they have the turn to build an index, too; and those that
 * take no lane for long.
 */
function kindsOf({ flows }: DriveDeps): Record<"gated" | "urgent" | "short", Filter<Operation>> {
  const all = entriesOfFlows(flows);
  const isGated = all.flatMap(([kind, { gated }]) => (gated ? [{ kind, step: { $in: [...gated] } }] : []));
  return {
    gated: { $or: isGated },
    // Or those who wait might be all that there is room for.
    urgent: { $or: [...isGated, { builds: true }] },
    short: { kind: { $in: all.filter(([, { isLong }]) => !isLong).map(([kind]) => kind) } },
  };
}
