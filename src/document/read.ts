import { createHash } from "node:crypto";
import { BSON, type Document, ObjectId } from "mongodb";
import { failure } from "../lib/failure.ts";
import { invalid } from "../lib/invalid.ts";
import type { Slice } from "../lib/slices.ts";
import { assertStorable } from "../tenant/document.ts";
import { idKey } from "../tenant/document-id.ts";
import { isLarge, type TenantDocument } from "../tenant/stored.ts";
import { documentBytesMax, type DocumentFailure } from "./document.ts";

export type NewDocument = Pick<TenantDocument, "id" | "fields">;
/** `isMade`: its id was not given. */
export type ReadDocument = NewDocument & { isMade: boolean };

/** MongoDB's limit for one statement. */
const batchMax = 100_000;

/** What was sent to be stored: one document, or an array of them. @throws Failure `invalid_request` */
export async function readDocuments(value: unknown, slice: Slice): Promise<ReadDocument[]> {
  if (!Array.isArray(value)) return [readDocument(value, "#")];
  if (value.length === 0) throw invalid("#", "must hold a document", "too_few");
  if (value.length > batchMax) throw invalid("#", `must hold at most ${batchMax} documents`, "too_many");
  const documents: ReadDocument[] = [];
  for (const [index, each] of value.entries()) {
    documents.push(readDocument(each, `#/${index}`));
    const pause = slice();
    if (pause) await pause;
  }
  const seen = new Set<string>();
  for (const [index, { id }] of documents.entries()) {
    const key = idKey(id);
    if (seen.has(key)) throw invalid(`#/${index}/_id`, "occurs twice", "duplicate_id");
    seen.add(key);
    const pause = slice();
    if (pause) await pause;
  }
  return documents;
}

function readDocument(value: unknown, pointer: string): ReadDocument {
  assertStorable(value, pointer);
  const { _id, ...fields } = value as Document;
  return { id: _id ?? new ObjectId(), fields, isMade: _id === undefined };
}

/** Tells what was sent from anything else. */
export const digestOf = (...parts: string[]): string =>
  createHash("sha256").update(parts.join("\0")).digest("base64url");

/** @returns how many bytes the document has as BSON. @throws Failure `document_too_large` */
export function assertSize({ id, fields }: NewDocument): number {
  const bytes = isLarge(fields)
    ? BSON.calculateObjectSize({ _id: id }) + fields.bson.byteLength - 5
    : BSON.calculateObjectSize({ _id: id, ...fields }, { ignoreUndefined: true });
  return assertBytes(bytes);
}

export function assertBytes(bytes: number): number {
  if (bytes <= documentBytesMax) return bytes;
  throw failure<DocumentFailure>(
    "document_too_large",
    `A document may have at most ${documentBytesMax} bytes as BSON.`,
  );
}
