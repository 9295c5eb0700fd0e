import type { Operation } from "./operation.ts";

/** What the API shows of an operation; times in RFC 3339, `seconds_left` an estimate. Never its secret. */
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
  documents_per_second: number | null;
  seconds_left: number | null;
  write_pause_ms: number | null;
  attempts: number;
  error: string | null;
  created_at: string;
  finished_at: string | null;
  history: { phase: string; at: string }[];
};

type Shown = {
  from?: { tier: string };
  to?: { tier: string };
  total?: number;
  copied?: number;
  copying_since?: Date;
  copied_before?: number;
  pause_ms?: number;
};

/** How fast the present driver copies, and how long the rest takes at that pace. */
function paceOf(operation: Operation, { total, copied, copying_since, copied_before = 0 }: Shown, now: Date) {
  if (operation.step !== "copy" || total === undefined || copied === undefined || !copying_since) return null;
  const seconds = (now.getTime() - copying_since.getTime()) / 1000;
  const perSecond = seconds > 0 ? (copied - copied_before) / seconds : 0;
  return perSecond > 0
    ? { perSecond: Math.round(perSecond), left: Math.max(0, Math.ceil((total - copied) / perSecond)) }
    : null;
}

export function viewOperation(operation: Operation, now: Date): OperationView {
  const shown = operation.progress as Shown;
  const pace = paceOf(operation, shown, now);
  return {
    id: operation._id.toHexString(),
    kind: operation.kind,
    organization_id: operation.organization_id.toHexString(),
    status: operation.status,
    phase: operation.step,
    from: shown.from?.tier ?? null,
    to: shown.to?.tier ?? (operation.input as { tier?: string }).tier ?? null,
    documents_total: shown.total ?? null,
    documents_copied: shown.copied ?? null,
    documents_per_second: pace?.perSecond ?? null,
    seconds_left: pace?.left ?? null,
    write_pause_ms: shown.pause_ms ?? null,
    attempts: operation.attempts ?? 0,
    error: operation.error?.message ?? operation.failure?.detail ?? null,
    created_at: operation.created_at.toISOString(),
    finished_at: operation.finished_at?.toISOString() ?? null,
    history: operation.history.map(({ step, at }) => ({ phase: step, at: at.toISOString() })),
  };
}
