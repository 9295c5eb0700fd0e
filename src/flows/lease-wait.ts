import { setTimeout as sleep } from "node:timers/promises";

/** Waits until every lease of a placement that was given before has run out, with a margin for clocks that don't run alike. */
export const afterLease = (leaseMs: number): Promise<void> => sleep(leaseMs * 1.1 + 5);
