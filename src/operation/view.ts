import type { Flow, Flows, Operation } from "./operation.ts";

/** What the API shows of an operation; times in RFC 3339, `seconds_left` an estimate for its phase. Never its secret. */
export type OperationView = {
  id: string;
  kind: string;
  organization_id: string;
  status: Operation["status"];
  phase: string;
  from: string | null;
  to: string | null;
  documents_total: number | null;
  documents_copied: number | null;
  documents_left: number | null;
  documents_per_second: number | null;
  seconds_left: number | null;
  write_pause_ms: number | null;
  attempts: number;
  error: string | null;
  created_at: string;
  finished_at: string | null;
  history: { phase: string; at: string }[];
};

/** What a kind of operation has to say of itself; left out is null. */
export type Shown = {
  from?: string | undefined;
  to?: string | undefined;
  documents_total?: number | null | undefined;
  documents_copied?: number | undefined;
  write_pause_ms?: number | undefined;
  pace?: Pace | undefined;
};

/**
 * How far a step has come that goes through many documents: what its present driver found done `from` where it began, what
 * is done by now, and what is left, as far as that is known.
 */
export type Pace = { step: string; since: Date; from: number; done: number; left: number | null };

/** How fast the present driver is, and how long the rest of this step takes at that pace. */
function paceOf({ step }: Operation, pace: Pace | undefined, now: Date) {
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

export function viewOperation(flows: Flows, operation: Operation, now: Date): OperationView {
  const flow: Flow | undefined = flows[operation.kind];
  const shown = flow?.view(operation) ?? {};
  const pace = paceOf(operation, shown.pace, now);
  return {
    id: operation._id.toHexString(),
    kind: operation.kind,
    organization_id: operation.organization_id.toHexString(),
    status: operation.status,
    phase: operation.step,
    from: shown.from ?? null,
    to: shown.to ?? null,
    documents_total: shown.documents_total ?? null,
    documents_copied: shown.documents_copied ?? null,
    documents_left: pace?.left ?? null,
    documents_per_second: pace?.perSecond ?? null,
    seconds_left: pace?.seconds ?? null,
    write_pause_ms: shown.write_pause_ms ?? null,
    attempts: operation.attempts ?? 0,
    error: operation.error?.message ?? operation.failure?.detail ?? null,
    created_at: operation.created_at.toISOString(),
    finished_at: operation.finished_at?.toISOString() ?? null,
    history: operation.history.map(({ step, at }) => ({ phase: step, at: at.toISOString() })),
  };
}
