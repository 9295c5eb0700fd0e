import { Binary, Decimal128, type Document, Double, Int32, Long, Timestamp } from "mongodb";

/** Reads BSON so that nothing is lost: an int stays an int, a long is never rounded, a pattern is never compiled. */
export const exactBson = {
  promoteValues: false,
  promoteLongs: false,
  promoteBuffers: false,
  bsonRegExp: true,
} as const;

/** An object of fields and not one of BSON's scalars; told by the prototype, as a field may be called `_bsontype`. */
export function isDocument(value: unknown): value is Document {
  if (typeof value !== "object" || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/** The fields of an object; a Map where JavaScript would put their names in another order, or can't hold them. */
export type Fields = Document | Map<string, unknown>;

/** The entries of an object's fields; null for what is none. */
export const fieldsOf = (value: unknown): [string, unknown][] | null =>
  value instanceof Map ? [...value] : isDocument(value) ? Object.entries(value) : null;

/** A value of BSON that JavaScript has none for: its type, and its bytes. */
export type Kept = { readonly type: number; readonly bytes: Buffer };
const kept = Object.freeze({});
export const keep = (type: number, bytes: Buffer): Kept => Object.assign(Object.create(kept), { type, bytes });
export const isKept = (value: object): value is Kept => Object.getPrototypeOf(value) === kept;

/** The value of an int, a long that JavaScript can hold, or a double; NaN for anything else. */
export function toNumber(value: unknown): number {
  if (typeof value === "number") return value;
  if (value instanceof Int32 || value instanceof Double) return value.value;
  if (isLong(value) && Number.isSafeInteger(value.toNumber())) return value.toNumber();
  return Number.NaN;
}

export const isInteger = (value: unknown, lowest: number): boolean =>
  Number.isSafeInteger(toNumber(value)) && toNumber(value) >= lowest;

/** A Timestamp is a Long to JavaScript, but not to BSON. */
export const isLong = (value: unknown): value is Long => value instanceof Long && !(value instanceof Timestamp);

export const isNumeric = (value: unknown): boolean =>
  typeof value === "number" ||
  typeof value === "bigint" ||
  value instanceof Int32 ||
  value instanceof Double ||
  value instanceof Decimal128 ||
  isLong(value);

export const isUuid = (value: Binary): boolean => value.sub_type === Binary.SUBTYPE_UUID && value.length() === 16;
