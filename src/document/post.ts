import { type Document, ObjectId } from "mongodb";
import { invalid } from "../lib/invalid.ts";
import { createSlice, type Slice } from "../lib/slices.ts";
import type { Deps } from "../deps.ts";
import { assertStorable } from "../tenant/document.ts";
import { idKey } from "../tenant/document-id.ts";
import { firstMeta, type TenantDocument } from "../tenant/stored.ts";
import { newWriteId } from "./document.ts";
import { keyOf, markInsertDone, rememberInsert } from "./idempotency.ts";
import { insertDocuments, type InsertWrite, type NewDocument, type Refused, refusalOf } from "./insert.ts";

/** MongoDB's limit for one statement. */
const batchMax = 100_000;
const keyPattern = /^[\x21-\x7e]{1,255}$/;

export type Posted = { documents: TenantDocument[]; isMany: boolean };

/**
 * Takes documents as they were sent, one or an array of them, and inserts them.
 *
 * @param sent the body, as text and as what it means
 * @param idempotencyKey with it the same request may be sent again for 24 hours and has its effect once
 * (draft-ietf-httpapi-idempotency-key-header)
 * @throws Failure `invalid_request`, `idempotency_key_reused`, `document_exists`, `unique_violated`, `index_unfit`, `document_refused`:
 * its `errors` name those that were refused, the others are stored; of `insertDocuments`
 */
export async function postDocuments(
  deps: Pick<Deps, "db" | "documents" | "leases" | "now" | "usage">,
  organizationId: ObjectId,
  sent: { text: string; value: unknown },
  idempotencyKey: string | undefined,
): Promise<Posted> {
  const isMany = Array.isArray(sent.value);
  const wanted = await readDocuments(sent.value, createSlice(organizationId.toHexString()));
  const writeId = newWriteId();
  const posted = (documents: NewDocument[], write: InsertWrite, refused: Refused): Posted => {
    if (refused.length > 0) throw refusalOf(documents, refused, isMany);
    return { documents: documents.map((each) => ({ ...each, meta: firstMeta(write.id) })), isMany };
  };
  if (idempotencyKey === undefined) {
    const write = { id: writeId };
    return posted(wanted, write, await insertDocuments(deps, organizationId, wanted, write));
  }
  if (!keyPattern.test(idempotencyKey)) {
    throw invalid("Idempotency-Key", "must be 1 to 255 visible characters of ASCII", "invalid_header");
  }
  const ids = wanted.map(({ id, isMade }) => (isMade ? (id as ObjectId) : null));
  const remembered = await rememberInsert(deps, { organizationId, key: idempotencyKey, body: sent.text, writeId, ids });
  const same = wanted.map(({ fields, id }, index): NewDocument => ({ fields, id: remembered.ids[index] ?? id }));
  const write = { id: remembered.write_id, key: keyOf(remembered), isAgain: remembered.write_id !== writeId };
  if (remembered.done) return posted(same, write, remembered.refused ?? []);
  // A try before this one may have been cut off, and others have removed since what it stored.
  const removed = new Set(remembered.removed);
  const places = [...same.keys()].filter((index) => !removed.has(idKey(same[index]!.id)));
  const missing = places.map((index) => same[index]!);
  const refusals = await insertDocuments(deps, organizationId, missing, write);
  const refused = refusals.map(({ index, because }) => ({ index: places[index]!, because }));
  await markInsertDone(deps.db, remembered._id, refused);
  return posted(same, write, refused);
}

/** `isMade`: its id was not given. */
type ReadDocument = NewDocument & { isMade: boolean };

async function readDocuments(value: unknown, slice: Slice): Promise<ReadDocument[]> {
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

/** The fields of a document that replaces the one of this id; it may name its `_id`, but no other. */
export function readReplacement(value: unknown, id: unknown): Document {
  assertStorable(value);
  const { _id = id, ...fields } = value as Document;
  if (idKey(_id) !== idKey(id)) throw invalid("#/_id", "must be the id in the path, or left out", "immutable");
  return fields;
}

/** A merge patch (RFC 7396): an object, and not of the `_id`. */
export function readPatch(value: unknown, id: unknown): Document {
  assertStorable(value);
  const { _id = id, ...patch } = value as Document;
  if (idKey(_id) !== idKey(id)) throw invalid("#/_id", "can't be changed", "immutable");
  return patch;
}
