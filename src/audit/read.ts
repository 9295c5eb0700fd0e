import type { Deps } from "../deps.ts";
import { failure } from "../lib/failure.ts";
import type { PageFailure } from "../tenant/query/page.ts";
import { type Act, acts, kindOf, type Outcome, platformChain } from "./audit.ts";
import { type ChainedEntry, isItself } from "./chain.ts";
import { listEntries } from "./store.ts";

/** What the API shows of an entry; times in RFC 3339. */
export type EntryView = Omit<ChainedEntry, "_id" | "v" | "chain" | "act_id" | "at"> & {
  id: string;
  at: string;
  organization_id: string | null;
};

const viewEntry = ({ _id, chain, seq, at, act, outcome, who, address, ...rest }: ChainedEntry): EntryView => ({
  id: _id,
  seq,
  at: at.toISOString(),
  act,
  outcome,
  who: { kind: who.kind, id: who.id },
  organization_id: chain === platformChain ? null : chain,
  address,
  request_id: rest.request_id,
  details: rest.details,
  previous: rest.previous,
  hash: rest.hash,
});

const cursorPattern = /^(\d{1,15}) ((?:platform|[0-9a-f]{24})\/\d{12})$/;
/** Null for a damaged entry that has no time or place. */
function cursorOf({ at, _id }: ChainedEntry): string | null {
  const text = `${at instanceof Date ? at.getTime() : ""} ${_id}`;
  return cursorPattern.test(text) ? Buffer.from(text).toString("base64url") : null;
}

function readCursor(cursor: string): { at: Date; id: string } {
  const [, time, id] = cursorPattern.exec(Buffer.from(cursor, "base64url").toString()) ?? [];
  if (time !== undefined && id !== undefined) return { at: new Date(Number(time)), id };
  const message = "was not issued by this API";
  throw failure<PageFailure>("invalid_cursor", `The cursor ${message}.`, {
    errors: [{ pointer: "?cursor", message, code: "invalid_cursor" }],
  });
}

export type AuditWanted = {
  /** Of one organization, or of all and of none. */
  chain?: string;
  act?: Act;
  /** What comes before the dot of an act. */
  kind?: string;
  outcome?: Outcome;
  /** From here on. */
  from?: Date;
  /** Before this. */
  to?: Date;
  cursor?: string;
  limit: number;
};

/**
 * A page of the record, the newest first; what is recorded meanwhile changes no page after it. What an entry that was altered
 * says isn't shown, only its id, in `damaged`.
 *
 * @throws Failure `invalid_cursor`
 */
export async function readAudit(
  { db }: Pick<Deps, "db">,
  { cursor, act, kind, limit, ...wanted }: AuditWanted,
): Promise<{ entries: EntryView[]; damaged: string[]; next_cursor: string | null }> {
  const named = act === undefined && kind === undefined ? undefined : acts.filter((one) => isWanted(one, act, kind));
  const after = cursor === undefined ? undefined : readCursor(cursor);
  const found = await listEntries(db, { ...wanted, limit, ...(named && { acts: named }), ...(after && { after }) });
  const { whole = [], damaged = [] } = Object.groupBy(found, (entry) => (isItself(entry) ? "whole" : "damaged"));
  const cursors = found.length === limit ? found.map(cursorOf).filter((one) => one !== null) : [];
  return {
    entries: whole.map(viewEntry),
    damaged: damaged.map(({ _id }) => String(_id)),
    next_cursor: cursors.at(-1) ?? null,
  };
}

const isWanted = (one: Act, act: Act | undefined, kind: string | undefined) =>
  (act === undefined || one === act) && (kind === undefined || kindOf(one) === kind);
