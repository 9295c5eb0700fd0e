import { setTimeout as sleep } from "node:timers/promises";

/** Longer than a lease lasts by any process's clock: with a margin, as they don't run alike. */
export const outlasting = (leaseMs: number): number => leaseMs * 1.1 + 5;

/** Waits until every lease of a placement that was given before has run out. */
export const afterLease = (leaseMs: number): Promise<void> => sleep(outlasting(leaseMs));
