import type { Flow, Flows, Operation } from "./operation.ts";
import { type Pace, paceOf } from "./pace.ts";

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
