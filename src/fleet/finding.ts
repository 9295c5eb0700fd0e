import type { DriveDeps } from "../operation/drive.ts";
import type { Finding as DamagedRecord } from "../takeover/inspect.ts";
import type { Tier } from "../tenant/placement.ts";

export type DoctorDeps = DriveDeps;

/**
 * One thing that is not as it should be. Ids and names of collections, databases and indexes only: no names of
 * organizations beside those in a collection's name, no emails, nothing of a document.
 */
export type Finding =
  | Exclude<DamagedRecord, { collection: string }>
  /** Nobody's, as far as is known. `documents` is null where it is of a kind that no place is: a view, a time series … */
  | { finding: "collection_without_organization"; database: string; collection: string; documents: number | null }
  | { finding: "database_without_organization"; database: string; organization_id: string }
  | { finding: "organization_without_storage"; organization_id: string; database: string; collection: string }
  /** For a tier that organizations are in, or newcomers are to be in: its places aren't looked at. */
  | { finding: "rights_missing"; tier: Tier; database: string | null; actions: string[] }
  | { finding: "organization_unfinished"; organization_id: string; status: string }
  | { finding: "index_missing"; database: string; collection: string; index: string; organization_id?: string }
  | { finding: "index_without_tenant"; database: string; collection: string; index: string }
  | { finding: "shared_documents_without_tenant"; tenant_id: string | null; documents: number }
  | {
      finding: "foreign_documents";
      organization_id: string;
      database: string;
      collection: string;
      tenant_id: string | null;
      documents: number;
    }
  | ({ finding: "operation_abandoned" } & OfOperation)
  /** Of a version that knows its kind and step, and drives it. */
  | ({ finding: "operation_unknown" } & OfOperation)
  /** It waits for an operator, or will after some more tries. */
  | ({ finding: "operation_stopped" | "operation_failing"; attempts: number } & OfOperation)
  | { finding: "notes_of_ended_move"; operation_id: string }
  | { finding: "move_of_ended_operation"; organization_id: string; operation_id: string }
  | { finding: "place_left_unswept"; organization_id: string; database: string; collection: string }
  | { finding: "place_held_in_vain"; organization_id: string; place: string };

type OfOperation = { operation_id: string; organization_id: string; kind: string; step: string };

/** A finding and, when it can be shown what is right, what puts it right: it looks again before it changes anything. */
export type Symptom = { finding: Finding; mend?: () => Promise<void> };

/** What a finding is about, without figures that change while it is looked at. */
export const keyOf = ({ finding }: Symptom): string =>
  JSON.stringify({ ...finding, documents: undefined, attempts: undefined });

/** A tenant_id as text for a finding. What is no text was never one of ours. */
export const tenantText = (tenant: unknown): string | null =>
  typeof tenant === "string" || tenant === null ? tenant : `(${typeof tenant})`;

/** Does something for each, some at a time. */
export async function forEach<T>(all: readonly T[], atATime: number, act: (one: T) => Promise<void>): Promise<void> {
  const waiting = all.values();
  await Promise.all(
    Array.from({ length: atATime }, async () => {
      for (const one of waiting) await act(one);
    }),
  );
}
