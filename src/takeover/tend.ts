import type { Deps } from "../deps.ts";
import { takeTurn } from "../lib/mongo/turn-of-all.ts";
import { inspect } from "./inspect.ts";

const lookEveryMs = 60 * 60_000;
const inspectEveryMs = 24 * 60 * 60_000;

/** What is damaged in the records is reported once a day, by one process of all. */
export function createInspectChore(deps: Pick<Deps, "db" | "deployments" | "log">): () => Promise<void> {
  let lookAtMs = 0;
  return async () => {
    if (performance.now() < lookAtMs) return;
    const isOurs = await takeTurn(deps.db, "inspect", inspectEveryMs);
    lookAtMs = performance.now() + lookEveryMs;
    // A worker that is stopped doesn't wait for the end of it.
    if (isOurs) void inspect(deps).catch((error) => deps.log.warn({ err: error }, "inspection failed"));
  };
}
