import type { Operation, OperationEnd } from "../operation/operation.ts";
import type { Act, Details, Entry, NewEntry, Origin } from "./audit.ts";
import { entryOf } from "./audit.ts";

type Ended = { act: Act; details?: Details };

/** What was asked for; an operation that the version before this has begun has all of it in its input. */
const askedOf = ({ input, secret }: Operation) => ({ ...input, ...secret });

/** What an operation has done to its organization, by its kind. What the service does for itself, as cleaning up, is no act. */
const actsOf: Record<string, (operation: Operation) => Ended[]> = {
  provision: (operation) => {
    const { organization_name, tier, admin_id } = askedOf(operation);
    const details = { organization_name: String(organization_name), tier: String(tier), admin_id: String(admin_id) };
    return [{ act: "organization.create", details }];
  },
  update: (operation) => {
    const { organization_name, email, password_hash } = askedOf(operation);
    const details = { organization_name: String(organization_name) };
    return [
      ...(organization_name === undefined ? [] : [{ act: "organization.rename" as const, details }]),
      ...(email === undefined ? [] : [{ act: "admin.email" as const }]),
      ...(password_hash === undefined ? [] : [{ act: "admin.password" as const }]),
    ];
  },
  remove: () => [{ act: "organization.delete" }],
  move: ({ input }) => [{ act: "move.end", details: { tier: String(input.tier) } }],
  index: ({ input }) => {
    const { create, drop } = JSON.parse(String(input.change)) as Record<string, { name: string } | undefined>;
    return [{ act: create ? "index.create" : "index.drop", details: { name: String((create ?? drop)?.name) } }];
  },
};

const originOf = (operation: Operation) => (operation.origin ? { origin: operation.origin as Origin } : {});
const idOf = (operation: Pick<Operation, "_id">) => operation._id.toHexString();

/** That a move was asked for: by the operation's id, so that it is recorded once, by whoever asked or by its driver. */
export const moveStarted = (
  operation: Pick<Operation, "_id" | "organization_id" | "input"> & Partial<Pick<Operation, "created_at">>,
): NewEntry => ({
  act: "move.start",
  organizationId: operation.organization_id,
  ...(operation.created_at && { at: operation.created_at }),
  actId: `${idOf(operation)}:move.start`,
  details: { operation_id: idOf(operation), tier: String(operation.input.tier) },
});

/** What is to be recorded of an operation that is about to be closed; the same again for whoever takes it over (`ending`). */
export function entriesOf(now: () => Date, operation: Operation, { status, failure }: OperationEnd): Entry[] {
  const { superseded, ...by } = operation;
  if (superseded) {
    const { kind, input, origin, ending } = superseded;
    const before = { ...by, kind, input, origin } as Operation;
    return [...entriesOf(now, before, ending ?? { status: "cancelled" }), ...entriesOf(now, by, { status, failure })];
  }
  const deps = { now, ...originOf(operation) };
  const succeeded = status === "succeeded";
  // An organization that was never made has no chain.
  const organizationId = operation.kind === "provision" && !succeeded ? null : operation.organization_id;
  const outcome = succeeded ? "success" : "failure";
  const code = failure?.code ?? (status === "cancelled" ? "cancelled" : undefined);
  const ended = (actsOf[operation.kind]?.(operation) ?? []).map(({ act, details }) =>
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
  return operation.kind === "move" ? [entryOf(deps, moveStarted(operation), "success"), ...ended] : ended;
}
