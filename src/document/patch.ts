import { BSON, type Document } from "mongodb";
import { readBson } from "../lib/bson/bson-reader.ts";
import { isDocument } from "../lib/bson/bson.ts";
import { invalid, under } from "../lib/invalid.ts";
import { byName, mergePatch } from "../lib/json/merge-patch.ts";
import { bsonType, type Element, elementsOf, pickFields } from "../lib/bson/raw-bson.ts";
import type { FoundDocument } from "../tenant/scope.ts";
import { type FieldChanges, isOwn, ownNames } from "../tenant/stored.ts";

/** What a merge patch changes in a document as it is stored, by paths; `bytes`: what the document has then. */
export type Patching = FieldChanges & { bytes: number };
type Planned = Patching & { set: Document };

/** Databases take a time for paths that is the square of their number. */
const pathsMax = 200;

/**
 * What a patch makes of a document, and what it changes: nothing else is written. One that changes very much is written as a
 * whole, where that comes to the same.
 *
 * @throws Failure `invalid_request`: as `planPatch`, or when it changes too much of what can't be written as a whole
 */
export function patched(
  current: Pick<FoundDocument, "id" | "bytes"> & { fields: Document },
  patch: Document,
): { fields: Document; patching?: Planned } {
  const fields = mergePatch(current.fields, patch);
  const patching = planPatch(current, patch);
  if (Object.keys(patching.set).length + patching.unset.length <= pathsMax) return { fields, patching };
  if (isWrittenAsRead(current.bytes)) return { fields };
  const because = "in a document that can't be rewritten as a whole because of how another client stored it";
  throw invalid("#", `changes more than ${pathsMax} fields ${because}`, "too_many");
}

function isWrittenAsRead(stored: Uint8Array): boolean {
  const isChanged = ({ type, name, value }: Element) =>
    name.startsWith("$") || (type === bsonType.timestamp && value.every((byte) => byte === 0));
  if (elementsOf(stored).some(isChanged)) return false;
  try {
    return Buffer.compare(BSON.serialize(readBson(stored), { ignoreUndefined: true }), stored) === 0;
  } catch {
    return false;
  }
}

/** How many bytes a document has as BSON, without what is Croupier's. It may have a million fields: none is looked at. */
export const bytesOf = ({ id, bytes }: Pick<FoundDocument, "id" | "bytes">): number =>
  BSON.calculateObjectSize({ _id: id }) + bytes.byteLength - pickFields(bytes, ownNames).byteLength;

const ownFields = (bytes: Uint8Array): Element[] => elementsOf(bytes).filter(({ name }) => !isOwn(name));
const sizeOf = (id: unknown, fields: readonly Element[]): number =>
  fields.reduce((sum, field) => sum + field.bytes.byteLength, BSON.calculateObjectSize({ _id: id }));

/**
 * Finds out what a merge patch (RFC 7396) changes, so that nothing else is written: what other clients have stored JavaScript
 * can't always write again as it was.
 *
 * @param patch with names that a path can hold
 * @throws Failure `invalid_request` when it names what stands twice in the document
 */
function planPatch({ id, bytes }: Pick<FoundDocument, "id" | "bytes">, patch: Document): Planned {
  const fields = ownFields(bytes);
  const patching: Planned = { set: {}, unset: [], bytes: sizeOf(id, fields) };
  plan(patching, fields, patch, "", "#");
  return patching;
}

function plan(patching: Planned, fields: Element[], patch: Document, path: string, pointer: string): void {
  const wanted = new Map(Object.keys(patch).map((name) => [Buffer.from(name).toString("latin1"), name]));
  const found = new Map<string, Element>();
  for (const field of fields) {
    const name = wanted.get(field.name);
    if (name === undefined) continue;
    if (found.has(name)) throw invalid(under(pointer, name), "occurs twice in the document", "duplicate_name");
    found.set(name, field);
  }
  for (const [name, value] of Object.entries(patch).sort(byName)) {
    const [field, at] = [found.get(name), path + name];
    if (isDocument(value) && field?.type === bsonType.object) {
      plan(patching, elementsOf(field.value), value, `${at}.`, under(pointer, name));
      continue;
    }
    patching.bytes -= field?.bytes.byteLength ?? 0;
    if (value === null) {
      if (field) patching.unset.push(at);
      continue;
    }
    const made = isDocument(value) ? mergePatch(undefined, value) : value;
    patching.set[at] = made;
    patching.bytes += BSON.calculateObjectSize({ [name]: made }, { ignoreUndefined: true }) - 5;
  }
}
