import type { Db, Document } from "mongodb";
import type { Logger } from "pino";
import { isUnavailable, socketTimeoutMs, within } from "../lib/mongo/mongo.ts";
import { takeTurn } from "../lib/mongo/turn-of-all.ts";
import { service } from "../lib/version.ts";

/** An index is made for as long as it takes. */
const limited = new Set([
  "find",
  "getMore",
  "aggregate",
  "count",
  "distinct",
  "insert",
  "update",
  "delete",
  "findAndModify",
]);

/**
 * Looks for statements of ours that the database still works on long after their time was up, as it does inside one
 * expression; all processes together once in a while. Each is told once, by its kind and collection.
 *
 * @param limitMs of a statement that doesn't say its own, in milliseconds: FerretDB shows none
 */
export function createOverdueWatch(
  { db, log }: { db: Db; log: Logger },
  everyMs = 2 * 60_000,
  limitMs = socketTimeoutMs,
): () => Promise<void> {
  let lookAtMs = 0;
  let told = new Set<string>();
  return async () => {
    if (performance.now() < lookAtMs) return;
    lookAtMs = performance.now() + everyMs;
    if (!(await takeTurn(db, "overdue", everyMs))) return;
    try {
      const overdue = await findOverdue(db, limitMs);
      for (const one of overdue)
        if (!told.has(one.opid)) log.error(one, "statement has been running for more than twice its time limit");
      told = new Set(overdue.map(({ opid }) => opid));
    } catch (error) {
      if (isUnavailable(error)) throw error;
      lookAtMs = Infinity;
      log.warn({ err: error }, "database doesn't list running operations; overdue statements won't be reported");
    }
  };
}

async function findOverdue({ client }: Db, limitMs: number) {
  const question = { currentOp: 1, $ownOps: true, active: true };
  const { inprog } = await client.db("admin").command(question, within());
  return (inprog as Document[]).flatMap(({ opid, ns, appName = service, command = {}, ...took }) => {
    const [operation = ""] = Object.keys(command);
    // FerretDB counts whole seconds only.
    const seconds = Number(took.microsecs_running ?? took.secs_running * 1e6) / 1e6;
    const overdueMs = 2 * (Number(command.maxTimeMS) || limitMs);
    const isOurs = appName === service && limited.has(operation);
    return isOurs && seconds * 1_000 >= overdueMs ? [{ opid: String(opid), operation, ns, seconds }] : [];
  });
}
