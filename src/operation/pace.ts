import type { Operation, StepDeps } from "./operation.ts";

/**
 * How far a step has come that goes through many documents: what its present driver found done `from` where it began, what
 * is done by now, and what is left, as far as that is known.
 */
export type Pace = { step: string; since: Date; from: number; done: number; left: number | null };

/** What is left of so many; null when it isn't known how many there are. */
export const leftOf = (total: number | null | undefined, done: number): number | null =>
  total == null ? null : Math.max(0, total - done);

/** The pace of a driver that begins a step. */
export const paceFrom = ({ now }: Pick<StepDeps, "now">, step: string, done: number, left: number | null): Pace => ({
  step,
  since: now(),
  from: done,
  done,
  left,
});

/** How fast the present driver is, and how long the rest of this step takes at that pace. */
export function paceOf({ step }: Operation, pace: Pace | undefined, now: Date) {
  if (pace?.step !== step) return null;
  const { since, from, done, left } = pace;
  const seconds = (now.getTime() - since.getTime()) / 1000;
  const perSecond = seconds > 0 ? Math.max(0, (done - from) / seconds) : 0;
  return {
    left,
    perSecond: perSecond > 0 ? Math.round(perSecond) : null,
    seconds: perSecond > 0 && left !== null ? Math.ceil(left / perSecond) : null,
  };
}
