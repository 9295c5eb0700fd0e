import { Binary, BSON, Decimal128, ObjectId } from "mongodb";
import { isNumeric } from "../lib/bson/bson.ts";
import { parseExtendedJson, printExtendedJson } from "../lib/json/extended-json.ts";

/** What can be the `_id` of a tenant's document: not null, array, object, pattern, Timestamp, MinKey or MaxKey. */
export function isScalarId(value: unknown): boolean {
  if (typeof value === "string" || typeof value === "boolean") return true;
  if (value instanceof Date) return !Number.isNaN(value.valueOf());
  return isNumeric(value) || value instanceof ObjectId || value instanceof Binary;
}

/** Longer ids don't fit into an index of FerretDB. */
export const idBytesMax = 1_024;

export const idBytes = (id: unknown): number =>
  typeof id === "string" ? Buffer.byteLength(id) : id instanceof Binary ? id.length() : 16;

const objectIdText = /^[0-9a-f]{24}$/i;
/** How the JSON of a scalar can begin; most ids that are text don't. */
const scalarStart = /^\s*["{\d\-tf]/;

/**
 * The id that a path names, its segment percent-decoded: 24 hex digits are an ObjectId, Extended JSON of a scalar is that
 * scalar (`42`, `"42"`, `{"$uuid":"…"}`), anything else is the very string.
 */
export function parsePathId(segment: string): unknown {
  if (objectIdText.test(segment)) return new ObjectId(segment);
  if (!scalarStart.test(segment)) return segment;
  try {
    const id = parseExtendedJson(segment);
    return isScalarId(id) ? id : segment;
  } catch {
    return segment;
  }
}

/** The inverse of `parsePathId`; percent-encode it with encodeURIComponent. */
export function printPathId(id: unknown): string {
  if (id instanceof ObjectId) return id.toHexString();
  if (typeof id !== "string") return printExtendedJson(id);
  // URLs lose segments that are empty or dots, however they are encoded.
  const asItIs = !["", ".", ".."].includes(id) && parsePathId(id) === id;
  return asItIs ? id : JSON.stringify(id);
}

/** ±coefficient × 10^exponent without trailing zeros. */
function normalize(coefficient: bigint, exponent: number): string {
  if (coefficient === 0n) return "0";
  const digits = String(coefficient);
  let end = digits.length;
  while (digits[end - 1] === "0") end--;
  return `${digits.slice(0, end)}e${exponent + digits.length - end}`;
}

/**
 * Whether a number of another type can be equal to this double. A Decimal128 is c × 10^x with c below 10^34: from 10^56 on the
 * double has too few factors of 5 to be one, and with more than 48 binary places it has more decimal ones than c has.
 */
const hasEquals = (value: number): boolean => Math.abs(value) < 1e56 && Number.isInteger(value * 2 ** 48);

/** A double is a binary fraction, and every binary fraction a decimal one: nothing is rounded. */
function exactDouble(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  // A tiny one has hundreds of digits.
  if (!hasEquals(value)) return `double ${value}`;
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, value);
  const bits = view.getBigUint64(0);
  const stored = Number((bits >> 52n) & 0x7ffn);
  const fraction = bits & 0xfffffffffffffn;
  const mantissa = (stored === 0 ? fraction : fraction | (1n << 52n)) * (value < 0 ? -1n : 1n);
  const exponent = Math.max(stored, 1) - 1_075;
  return exponent >= 0
    ? normalize(mantissa << BigInt(exponent), 0)
    : normalize(mantissa * 5n ** BigInt(-exponent), exponent);
}

function exactDecimal(value: Decimal128): string {
  const text = value.toString();
  const parts = /^(-?)(\d+)(?:\.(\d+))?(?:E([+-]?\d+))?$/.exec(text);
  if (!parts) return text;
  const [, sign = "", whole = "", fraction = "", exponent = "0"] = parts;
  return normalize(BigInt(`${sign}${whole}${fraction}`), Number(exponent) - fraction.length);
}

function numberKey(id: unknown): string {
  if (id instanceof Decimal128) return exactDecimal(id);
  const value: unknown = typeof id === "object" && id !== null && "value" in id ? id.value : id;
  return typeof value === "number" ? exactDouble(value) : normalize(BigInt(String(value)), 0);
}

/** One text for one id: 5 is the same id as an int, a long, a double or a decimal, for MongoDB and so for us. */
export function idKey(id: unknown): string {
  if (typeof id === "string") return `s${id}`;
  if (typeof id === "boolean") return `b${id}`;
  if (id instanceof Date) return `d${id.valueOf()}`;
  if (id instanceof ObjectId) return `o${id.toHexString()}`;
  if (id instanceof Binary) return `x${id.sub_type}:${Buffer.from(id.value()).toString("base64")}`;
  if (isNumeric(id)) return `n${numberKey(id)}`;
  // Other clients of the database may have stored an object, or null.
  return `e${Buffer.from(BSON.serialize({ id })).toString("base64")}`;
}

export const sameId = (one: unknown, other: unknown): boolean => idKey(one) === idKey(other);
