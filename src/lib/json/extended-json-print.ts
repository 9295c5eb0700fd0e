import {
  Binary,
  BSONRegExp,
  BSONSymbol,
  Code,
  Decimal128,
  Double,
  Int32,
  MaxKey,
  MinKey,
  ObjectId,
  Timestamp,
} from "mongodb";
import { isDocument, isKept, isLong, isUuid, type Kept } from "../bson/bson.ts";

const quote = (text: string): string => JSON.stringify(text);
/** For text in which nothing needs to be escaped. */
const wrap = (name: string, text: string): string => `{"${name}":"${text}"}`;

/** `5.0` is as good as `5` to every reader of JSON, and stays a double when it comes back. */
function printDouble(value: number): string {
  if (!Number.isFinite(value)) return wrap("$numberDouble", String(value));
  if (Object.is(value, -0)) return "-0.0";
  const text = String(value);
  return /^-?\d+$/.test(text) ? `${text}.0` : text;
}

const printInteger = (value: bigint): string =>
  Number.isSafeInteger(Number(value)) ? String(value) : wrap("$numberLong", String(value));

const lastRelaxedYear = 9999;
function printDate(date: Date): string {
  const milliseconds = date.valueOf();
  // BSON has later dates than JavaScript; the driver can't say which this one was.
  if (Number.isNaN(milliseconds)) return '{"$date":null}';
  if (milliseconds < 0 || date.getUTCFullYear() > lastRelaxedYear) {
    return `{"$date":${wrap("$numberLong", String(milliseconds))}}`;
  }
  return wrap("$date", date.toISOString().replace(".000Z", "Z"));
}

function printBinary(value: Binary): string {
  if (isUuid(value)) return wrap("$uuid", value.toUUID().toHexString());
  const subType = value.sub_type.toString(16).padStart(2, "0");
  const base64 = Buffer.from(value.value()).toString("base64");
  return `{"$binary":{"base64":"${base64}","subType":"${subType}"}}`;
}

/** A date beyond JavaScript's, a DBPointer, text that isn't UTF-8, or a pattern with options that there aren't. */
function printKept({ type, bytes }: Kept): string {
  if (type === 2) return quote(bytes.toString());
  if (type === 9) return `{"$date":${wrap("$numberLong", String(bytes.readBigInt64LE()))}}`;
  if (type === 12) {
    const id = wrap("$oid", bytes.toString("hex", bytes.length - 12));
    return `{"$dbPointer":{"$ref":${quote(bytes.toString("utf8", 4, bytes.length - 13))},"$id":${id}}}`;
  }
  const [pattern = "", options = ""] = bytes.toString().split("\0");
  return `{"$regularExpression":{"pattern":${quote(pattern)},"options":${quote(options)}}}`;
}

// A page has hundreds of fields, so these three add to one text and make no arrays in between.
function printMap(fields: Map<string, unknown>): string {
  let text = "";
  for (const [name, value] of fields) text += `${text && ","}${quote(name)}:${printExtendedJson(value)}`;
  return `{${text}}`;
}

function printFields(fields: Record<string, unknown>): string {
  let text = "";
  for (const name of Object.keys(fields)) text += `${text && ","}${quote(name)}:${printExtendedJson(fields[name])}`;
  return `{${text}}`;
}

function printArray(values: unknown[]): string {
  let text = "";
  for (const value of values) text += `${text && ","}${printExtendedJson(value)}`;
  return `[${text}]`;
}

function printObject(value: object): string {
  if (Array.isArray(value)) return printArray(value);
  if (isDocument(value)) return printFields(value);
  if (value instanceof Map) return printMap(value);
  if (value instanceof ObjectId) return wrap("$oid", value.toHexString());
  if (value instanceof Int32) return String(value.value);
  if (value instanceof Double) return printDouble(value.value);
  if (isLong(value)) return printInteger(value.toBigInt());
  if (value instanceof Date) return printDate(value);
  if (value instanceof Decimal128) return wrap("$numberDecimal", value.toString());
  if (value instanceof Binary) return printBinary(value);
  if (value instanceof Uint8Array) return printBinary(new Binary(value));
  if (value instanceof Timestamp) return `{"$timestamp":{"t":${value.t},"i":${value.i}}}`;
  if (value instanceof BSONRegExp) {
    return `{"$regularExpression":{"pattern":${quote(value.pattern)},"options":${quote(value.options)}}}`;
  }
  if (value instanceof MinKey) return '{"$minKey":1}';
  if (value instanceof MaxKey) return '{"$maxKey":1}';
  if (value instanceof BSONSymbol) return `{"$symbol":${quote(value.value)}}`;
  if (value instanceof Code) {
    return printFields({ $code: value.code, ...(value.scope && { $scope: value.scope }) });
  }
  if (isKept(value)) return printKept(value);
  throw new TypeError("Not a BSON value");
}

/**
 * Extended JSON v2, relaxed, of what the driver reads with `exactBson` (or without): but whole numbers beyond
 * ±(2^53 - 1) stay `$numberLong`, as JavaScript would round them, and a double is printed as one: `5.0`.
 */
export function printExtendedJson(value: unknown): string {
  switch (typeof value) {
    case "string":
      return quote(value);
    case "boolean":
      return String(value);
    case "number":
      return Number.isSafeInteger(value) && !Object.is(value, -0) ? String(value) : printDouble(value);
    case "bigint":
      return printInteger(value);
    case "undefined":
      return '{"$undefined":true}';
    case "object":
      return value === null ? "null" : printObject(value);
    default:
      throw new TypeError("Not a BSON value");
  }
}
