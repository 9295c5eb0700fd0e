import { setTimeout as sleep } from "node:timers/promises";
import type { StepDeps } from "../operation/operation.ts";
import { moveLeaseMs } from "../tenant/lease.ts";

type WaitDeps = Pick<StepDeps, "presence">;

/** Longer than a lease lasts by any process's clock: with a margin, as they don't run alike. */
const outlasting = (leaseMs: number): number => leaseMs * 1.1 + 5;

/** How long those who use a placement may go on with a lease that they have; to be asked after what it is to outlast. */
export const leasesLastMs = async ({ presence }: WaitDeps): Promise<number> =>
  outlasting(await presence.longestLeaseMs());

/** The same of leases that were given while a move is going on. */
export const moveLeasesLastMs = async ({ presence }: WaitDeps): Promise<number> =>
  outlasting(moveLeaseMs(await presence.longestLeaseMs()));

/**
 * Waits until every lease of a placement that any process was given before has run out. What the organization is to say from
 * then on has to be acknowledged already.
 */
export const afterLeases = async (deps: WaitDeps): Promise<void> => sleep(await leasesLastMs(deps));

/** The same while a move is going on, when all leases of before have run out. */
export const afterMoveLeases = async (deps: WaitDeps): Promise<void> => sleep(await moveLeasesLastMs(deps));
