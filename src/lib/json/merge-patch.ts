import type { Document } from "mongodb";
import { type Fields, fieldsOf, isDocument } from "../bson/bson.ts";

/** Names in the order in which a database adds new fields. */
export const byName = ([a]: [string, unknown], [b]: [string, unknown]): number => (a < b ? -1 : 1);

/**
 * JSON Merge Patch (RFC 7396) on BSON: null removes a field, an object is merged, anything else (an array, an ObjectId, a
 * date, a Decimal128…) is set. Changes neither of the two; fields keep their order, new ones come last, in the order of their
 * names where there was an object before.
 */
export const mergePatch = (target: Document | undefined, patch: Document): Document =>
  // Not by assignment: a field of an old document may be called `__proto__`.
  Object.fromEntries(merge(target, patch));

function merge(target: unknown, patch: Document): Map<string, unknown> {
  const before = fieldsOf(target);
  const fields = new Map(before);
  const changes = Object.entries(patch);
  for (const [name, value] of before ? changes.sort(byName) : changes) {
    if (value === null) fields.delete(name);
    else fields.set(name, isDocument(value) ? asBefore(fields.get(name), merge(fields.get(name), value)) : value);
  }
  return fields;
}

const asBefore = (target: unknown, fields: Map<string, unknown>): Fields =>
  target instanceof Map ? fields : Object.fromEntries(fields);
