// A newer version may have been here and have left operations of which this one doesn't know the kind or the step.
import type { Filter } from "mongodb";
import type { Deps } from "../deps.ts";
import { type Held, type HoldDeps, holding } from "./hold.ts";
import { entriesOfFlows, type Flow, type Flows, type Operation } from "./operation.ts";
import { claim } from "./store.ts";

/** Whether this version can drive an operation, and knows where it has put something. */
export function isKnown(flows: Flows, { kind, step, superseded }: Operation): boolean {
  const steps = flows[kind]?.steps;
  return steps !== undefined && Object.hasOwn(steps, step) && (!superseded || flows[superseded.kind] !== undefined);
}

/** The same for the database. */
function known(flows: Flows): Filter<Operation> {
  const all = entriesOfFlows(flows);
  const superseded = { "superseded.kind": { $in: [null, ...all.map(([kind]) => kind)] } };
  return { $or: all.map(([kind, { steps }]) => ({ kind, step: { $in: Object.keys(steps) } })), ...superseded } as never;
}

/** Takes over one of these operations, if nobody drives it and this version can; null when there is none. */
export const takeOver = (
  deps: HoldDeps & Pick<Deps, "flows" | "owner">,
  which: Filter<Operation>,
): Promise<Held | null> =>
  holding(deps, (leaseMs) => claim(deps.db, { $and: [which, known(deps.flows)] }, deps.owner, leaseMs));

/** @throws Error for a kind that this version doesn't know: nothing of the kind is claimed here */
export function flowOf(flows: Flows, kind: Operation["kind"]): Flow {
  const flow = flows[kind];
  if (!flow) throw new Error(`This version has no operations of the kind ${kind}`);
  return flow;
}
