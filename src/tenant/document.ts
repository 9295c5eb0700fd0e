import { type Document, Timestamp } from "mongodb";
import { isDocument } from "../lib/bson/bson.ts";
import { invalid, under } from "../lib/invalid.ts";
import { depthMax } from "../lib/json/json-reader.ts";
import { idBytes, idBytesMax, isScalarId } from "./document-id.ts";

export { idKey, isScalarId, parsePathId, printPathId, sameId } from "./document-id.ts";
export { etagOf, matchesTag, parseIfMatch, parseIfNoneMatch, type Stamp, type Tag } from "./etag.ts";

/** Fields at the top of every stored document that are Croupier's own: no caller sees, sets or asks for them. */
export const reservedNames = ["tenant_id", "_croupier"] as const;
export const isReserved = (name: string): boolean => (reservedNames as readonly string[]).includes(name);

function assertName(name: string, at: () => string): void {
  const wrong =
    name === ""
      ? "is empty"
      : name.startsWith("$")
        ? "begins with $"
        : name.includes(".")
          ? "contains a dot"
          : name.includes("\0")
            ? "contains NUL"
            : name === "__proto__" || name === "_bsontype"
              ? "is not allowed for a field"
              : null;
  if (wrong) throw invalid(at(), `can't be stored: its name ${wrong}`, "invalid_name");
}

/** @param path to the value; the pointer to it is only made when it is refused, as there may be millions */
function assertStorableValue(value: unknown, path: (string | number)[], at: () => string): void {
  const isArray = Array.isArray(value);
  if (!isArray && !isDocument(value)) return;
  if (path.length >= depthMax) throw invalid(at(), `is nested deeper than ${depthMax} levels`, "too_deep");
  for (const name of isArray ? value.keys() : Object.keys(value)) {
    path.push(name);
    if (typeof name === "string") assertName(name, at);
    assertStorableValue((value as Record<string | number, unknown>)[name], path, at);
    path.pop();
  }
}

/** Throws `invalid_request` for an `_id` that no tenant's document can have. */
function assertId(id: unknown, pointer: string): void {
  if (!isScalarId(id)) {
    throw invalid(pointer, "must be a string, number, boolean, date, ObjectId or binary (UUID)", "invalid_id");
  }
  if (idBytes(id) > idBytesMax) throw invalid(pointer, `must have at most ${idBytesMax} bytes`, "too_long");
}

/** MongoDB replaces it at the top of a document (manual, "Timestamps"), and the answer would say what isn't there. */
const isEmptyTimestamp = (value: unknown): boolean => value instanceof Timestamp && value.isZero();

/** Throws `invalid_request` unless a tenant may store this: its names, its depth, and its `_id` if it has one. */
export function assertStorable(document: unknown, pointer = "#"): asserts document is Document {
  if (!isDocument(document)) throw invalid(pointer, "must be an object", "invalid_type");
  const reserved = Object.keys(document).find(isReserved);
  if (reserved) throw invalid(under(pointer, reserved), "is reserved for Croupier", "reserved_name");
  const empty = Object.keys(document).find((name) => isEmptyTimestamp(document[name]));
  if (empty !== undefined) {
    throw invalid(
      under(pointer, empty),
      "is an empty Timestamp, which the database may replace with its own time",
      "empty_timestamp",
    );
  }
  if (Object.hasOwn(document, "_id")) assertId(document._id, under(pointer, "_id"));
  const path: (string | number)[] = [];
  assertStorableValue(document, path, () => path.reduce<string>(under, pointer));
}

/** A stored document as its tenant knows it; `shared`: it comes from the shared collection, where `_id` is `{t, i}`. */
export function fromStored(stored: Document, shared: boolean): Document {
  const { tenant_id: _tenant, _croupier: _stamp, _id: id, ...rest } = stored;
  return Object.hasOwn(stored, "_id") ? { _id: shared ? id.i : id, ...rest } : rest;
}
