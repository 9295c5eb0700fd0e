import { randomBytes } from "node:crypto";
import type { Deps } from "../deps.ts";
import { failure } from "../lib/failure.ts";
import type { DoorDeps } from "../tenant/door.ts";
import type { Meta, TenantDocument } from "../tenant/stored.ts";

export type DocumentFailure =
  | "document_not_found"
  | "document_exists"
  | "document_too_large"
  | "unique_violated"
  | "index_unfit"
  | "document_refused"
  | "precondition_failed"
  | "query_refused"
  | "query_too_slow"
  | "write_conflict"
  | "write_in_doubt"
  | "timeout"
  | "idempotency_key_reused";

/** What a write needs; with quotas `usage`, too. */
export type WriteDeps = DoorDeps & Pick<Deps, "usage">;

/** MongoDB's limit of 16 MiB, less what Croupier adds to a document. */
export const documentBytesMax = 16 * 1024 * 1024 - 4 * 1024;

/** Names one write, so that it is recognized when it is done again; also a part of the ETag. */
export const newWriteId = (): string => randomBytes(9).toString("base64url");

export const documentMissing = () => failure<DocumentFailure>("document_not_found", "No document has this id.");

export const uniqueViolated = () =>
  failure<DocumentFailure>("unique_violated", "Another document has the same value in a unique index.");

export const indexUnfit = () =>
  failure<DocumentFailure>(
    "index_unfit",
    "The document has something that one of the indexes can't hold: arrays in two of its fields, or a numeric field name.",
  );

export const documentRefused = () => failure<DocumentFailure>("document_refused", refusedBy);
export const refusedBy =
  "The database rejected it: a validator of the collection doesn't allow it, or something in it is too large.";

/** Better no answer than a wrong one: the tenant was moved just then, and others have written since. */
export const inDoubt = () =>
  failure<DocumentFailure>(
    "write_in_doubt",
    "The organization was moved in the meantime, and the outcome of this write is unknown; check before you send it again.",
    { retryAfterSeconds: 1 },
  );

/** What the first try of a write did: which version it found, and which it made; `made` is null when it removed. */
export type Effect = { found: Meta; made: TenantDocument | null };

/**
 * What became of a write's first try where the documents are now (protocol: rule 8). A document carries the ids of its last
 * writes, and the first try had followed directly on the one that it found: so when that one is there without the try after
 * it, the try was not brought along. When neither is there it can't be told.
 */
export function recognize(current: TenantDocument | null, { found, made }: Effect, writeId: string): Verdict {
  if (current?.meta.h.includes(writeId)) return "brought_along";
  if (!current) return made === null ? "brought_along" : "in_doubt";
  const before = found.h[0];
  const isThere = before === undefined ? current.meta.v === 0 : current.meta.h.includes(before);
  return isThere ? "left_behind" : "in_doubt";
}
export type Verdict = "brought_along" | "left_behind" | "in_doubt";
