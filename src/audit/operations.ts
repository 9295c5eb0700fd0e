import type { Flow, Flows, Operation, OperationEnd } from "../operation/operation.ts";
import type { Entry, NewEntry, Origin } from "./audit.ts";
import { entryOf } from "./audit.ts";

const originOf = (operation: Operation) => (operation.origin ? { origin: operation.origin as Origin } : {});
const idOf = (operation: Pick<Operation, "_id">) => operation._id.toHexString();

type Wanted = Pick<Operation, "_id" | "kind" | "organization_id" | "input"> & Partial<Pick<Operation, "created_at">>;

/** That an operation was asked for: by its id, so that it is recorded once, by whoever asked or by its driver. */
export function askedEntry(flows: Flows, wanted: Wanted): NewEntry | null {
  const asked = flows[wanted.kind]?.asked?.(wanted);
  return asked
    ? {
        act: asked.act,
        organizationId: wanted.organization_id,
        ...(wanted.created_at && { at: wanted.created_at }),
        actId: `${idOf(wanted)}:${asked.act}`,
        details: { operation_id: idOf(wanted), ...asked.details },
      }
    : null;
}

/** What is to be recorded of an operation that is about to be closed; the same again for whoever takes it over (`ending`). */
export function entriesOf(flows: Flows, now: () => Date, operation: Operation, end: OperationEnd): Entry[] {
  const { superseded, ...by } = operation;
  if (superseded) {
    const { kind, input, origin, ending } = superseded;
    const before = { ...by, kind, input, origin } as Operation;
    const endOfBefore: OperationEnd = ending ?? { status: "cancelled" };
    return [...entriesOf(flows, now, before, endOfBefore), ...entriesOf(flows, now, by, end)];
  }
  const { status, failure } = end;
  const deps = { now, ...originOf(operation) };
  const flow: Flow | undefined = flows[operation.kind];
  const succeeded = status === "succeeded";
  // An organization that was never made has no chain.
  const isMade = succeeded || flow?.endsOrganization !== "failed";
  const organizationId = isMade ? operation.organization_id : null;
  const outcome = succeeded ? "success" : "failure";
  const code = failure?.code ?? (status === "cancelled" ? "cancelled" : undefined);
  const ended = (flow?.acts(operation) ?? []).map(({ act, details }) =>
    entryOf(
      deps,
      {
        act,
        organizationId,
        actId: `${idOf(operation)}:${act}`,
        details: { ...details, operation_id: idOf(operation), ...(code !== undefined && { code }) },
      },
      outcome,
    ),
  );
  const asked = askedEntry(flows, operation);
  return asked ? [entryOf(deps, asked, "success"), ...ended] : ended;
}
