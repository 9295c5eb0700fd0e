import { BSON, type Document, type ObjectId } from "mongodb";
import { invalid } from "../lib/invalid.ts";
import { printExtendedJson } from "../lib/json/extended-json.ts";
import { createSlice, type Slice } from "../lib/slices.ts";
import type { Deps } from "../deps.ts";
import { idKey } from "../tenant/document-id.ts";
import type { FoundDocument } from "../tenant/scope.ts";
import { firstMeta, isLarge, type LargeFields, largeFields, type TenantDocument } from "../tenant/stored.ts";
import type { Change } from "./change.ts";
import { newWriteId } from "./document.ts";
import { keyOf, markInsertDone, refusedBefore, rememberedMax, rememberInsert } from "./idempotency.ts";
import { insertDocuments, type InsertWrite, type Refused, refusalOf } from "./insert.ts";
import type { Large, ReadBody } from "./large.ts";
import { patched } from "./patch.ts";
import { digestOf, type NewDocument, readDocuments } from "./read.ts";

/** A body: as text and as what it means, or as the bytes that came when it is large. */
export type Sent = { text: string; value: unknown } | { body: ArrayBuffer };

const keyPattern = /^[\x21-\x7e]{1,255}$/;

export type Posted = { documents: TenantDocument[]; isMany: boolean };

/**
 * Takes documents as they were sent, one or an array of them, and inserts them.
 *
 * @param idempotencyKey with it the same request may be sent again for 24 hours and has its effect once
 * (draft-ietf-httpapi-idempotency-key-header)
 * @throws Failure `invalid_request`, `idempotency_key_reused`, `document_exists`, `unique_violated`, `index_unfit`, `document_refused`:
 * its `errors` name those that were refused, the others are stored; of `insertDocuments`
 */
export async function postDocuments(
  deps: Pick<Deps, "db" | "documents" | "leases" | "now" | "large" | "usage">,
  organizationId: ObjectId,
  sent: Sent,
  idempotencyKey: string | undefined,
  late?: AbortSignal,
): Promise<Posted> {
  const slice = createSlice(organizationId.toHexString());
  const { documents: wanted, isMany, digest } = await readSent(deps.large.of(organizationId, late), sent, slice);
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
  if (wanted.length > rememberedMax) {
    throw invalid("#", `must hold at most ${rememberedMax} documents when it has an Idempotency-Key`, "too_many");
  }
  const ids = wanted.map(({ id, isMade }) => (isMade ? (id as ObjectId) : null));
  const request = { organizationId, key: idempotencyKey, digest: digest(), writeId, ids };
  const remembered = await rememberInsert(deps, request);
  const same = wanted.map(({ fields, id }, index): NewDocument => {
    // The id that was made this time is another.
    const chosen = remembered.ids[index] ?? id;
    return { id: chosen, fields: fieldsUnder(chosen, fields, id) };
  });
  const write = { id: remembered.write_id, key: keyOf(remembered), isAgain: remembered.write_id !== writeId };
  if (remembered.done) return posted(same, write, refusedBefore(remembered));
  // A try before this one may have been cut off, and others have removed since what it stored.
  const removed = new Set(remembered.removed);
  const places = [...same.keys()].filter((index) => !removed.has(idKey(same[index]!.id)));
  const missing = places.map((index) => same[index]!);
  const refusals = await insertDocuments(deps, organizationId, missing, write);
  const refused = refusals.map(({ index, because }) => ({ index: places[index]!, because }));
  await markInsertDone(deps.db, remembered._id, same.length, refused);
  return posted(same, write, refused);
}

/** Fields of a document as it has this id: large ones that were printed with another one are not printed yet. */
const fieldsUnder = (id: unknown, fields: Document | LargeFields, printedId: unknown): Document | LargeFields =>
  !isLarge(fields) || printExtendedJson(id) === printExtendedJson(printedId) ? fields : largeFields(fields.bson);

/** What was sent, be it large or not. */
async function readSent(large: Large, sent: Sent, slice: Slice, id?: unknown, isShown = true): Promise<ReadBody> {
  if ("body" in sent) return await large.read(sent.body, id, isShown);
  const documents = await readDocuments(sent.value, slice);
  return { documents, isMany: Array.isArray(sent.value), digest: () => digestOf(sent.text) };
}

/** The fields that were sent for the document of this id; they may name it, but no other. */
async function readFields(
  large: Large,
  sent: Sent,
  id: unknown,
  refusal: string,
  isShown = true,
): Promise<Document | LargeFields> {
  const notOne = () => invalid("#", "must be an object", "invalid_type");
  if ("value" in sent && Array.isArray(sent.value)) throw notOne();
  const { documents, isMany } = await readSent(large, sent, () => null, id, isShown);
  const [one] = documents;
  if (isMany || !one) throw notOne();
  if (!one.isMade && idKey(one.id) !== idKey(id)) throw invalid("#/_id", refusal, "immutable");
  return one.fields;
}

/** A document that replaces the one of this id. @throws Failure `invalid_request` */
export async function readReplacement(large: Large, sent: Sent, id: unknown): Promise<Change> {
  const fields = await readFields(large, sent, id, "must be the id in the path, or be left out");
  // The document keeps its own id, which may be an equal number of another type than the path's.
  return ({ id: stored }) => ({ fields: fieldsUnder(stored, fields, id) });
}

/** A merge patch (RFC 7396): an object, and not of the `_id`. @throws Failure `invalid_request` */
export const readPatch = (large: Large, sent: Sent, id: unknown) =>
  readFields(large, sent, id, "can't be changed", false);

/** What a patch makes of a document. @throws Failure as `patched` */
export const applyPatch = (large: Large, current: FoundDocument, patch: Document | LargeFields) =>
  isLarge(current.fields) || isLarge(patch)
    ? () => large.patch(current, isLarge(patch) ? patch.bson : BSON.serialize(patch))
    : patched({ ...current, fields: current.fields }, patch);
