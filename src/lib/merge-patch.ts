import type { Document } from "mongodb";
import { isDocument } from "./bson.ts";

/**
 * JSON Merge Patch (RFC 7396) on BSON: null removes a field, an object is merged, anything else (an array, an ObjectId, a
 * date, a Decimal128…) is set. Changes neither of the two; fields keep their order, new ones come last.
 */
export function mergePatch(target: Document, patch: Document): Document {
  const fields = new Map<string, unknown>(Object.entries(target));
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) fields.delete(name);
    else fields.set(name, isDocument(value) ? mergePatch(asDocument(fields.get(name)), value) : value);
  }
  // Not by assignment: a field of an old document may be called `__proto__`.
  return Object.fromEntries(fields);
}

const asDocument = (value: unknown): Document => (isDocument(value) ? value : {});
