import type { Deps } from "../deps.ts";
import { isFailure, isRefusal } from "../lib/failure.ts";
import { type Entry, entryOf, type NewEntry } from "./audit.ts";
import { findPending, removePending, writePending } from "./store.ts";

export type AuditDeps = Pick<Deps, "db" | "now" | "log" | "audit" | "origin">;

/** Records what has happened. @throws of `Appender.append` */
export const record = (deps: Pick<Deps, "now" | "audit" | "origin">, entry: NewEntry): Promise<void> =>
  deps.audit.append(entryOf(deps, entry, "success"));

/**
 * Does something that must not be done without a record of it: says before that it is about to be done, and after how it
 * went. When the process dies in between, another one records that it may have been done (`finishPending`).
 *
 * A Failure that `act` throws says that nothing was done, unless it asks to try again; after any other error nobody knows.
 *
 * @param act one guarded write, best: what it changes in more than one step may be half done
 * @throws what `act` throws; before it, when nothing can be recorded, what `writePending` throws
 */
export async function audited<T>(deps: AuditDeps, wanted: NewEntry, act: () => Promise<T>): Promise<T> {
  const entry = entryOf(deps, wanted, "unknown");
  await writePending(deps.db, entry, deps.now());
  let result: T;
  try {
    result = await act();
  } catch (error) {
    const details = isFailure(error) ? { ...entry.details, code: error.failure } : entry.details;
    await settle(deps, { ...entry, details, outcome: isRefusal(error) ? "failure" : "unknown" });
    throw error;
  }
  await settle(deps, { ...entry, outcome: "success" });
  return result;
}

/** The act is over, whatever happens here: what can't be recorded now stays pending, and is later as `unknown`. */
async function settle(deps: AuditDeps, entry: Entry): Promise<void> {
  try {
    await deps.audit.append(entry);
    await removePending(deps.db, entry.act_id);
  } catch (error) {
    deps.log.warn({ err: error, act: entry.act }, "audit entry could not be recorded; a worker will record it later");
  }
}

const atOnceMax = 200;

/**
 * Records acts whose process has not said how they went, as perhaps done. One that was recorded after all is there already.
 *
 * @param afterMs longer than any act takes
 * @returns how many
 */
export async function finishPending(
  { db, now, audit }: Pick<Deps, "db" | "now" | "audit">,
  afterMs: number,
): Promise<number> {
  const pending = await findPending(db, new Date(now().getTime() - afterMs), atOnceMax);
  await Promise.all(
    pending.map(async ({ _id, pending_since: _since, ...entry }) => {
      await audit.append({ ...entry, act_id: _id });
      await removePending(db, _id);
    }),
  );
  return pending.length;
}
