import {
  Binary,
  BSONRegExp,
  Decimal128,
  Double,
  Int32,
  Long,
  MaxKey,
  MinKey,
  ObjectId,
  Timestamp,
  UUID,
} from "mongodb";
import { isDocument, isInteger, isLong, toNumber } from "../bson/bson.ts";
import { failure, isFailure } from "../failure.ts";
import { invalid } from "../invalid.ts";
import { createJsonReader } from "./json-reader.ts";
import type { Slice } from "../slices.ts";
import { parseTime } from "../time.ts";

export { printExtendedJson } from "./extended-json-print.ts";

const int64 = (digits: bigint): boolean => BigInt.asIntN(64, digits) === digits;
const integer = /^-?[0-9]{1,20}$/;

/** Never rounds: whole numbers are Int32, or Long, all others and what is larger than a Long are Double. */
function readNumber(text: string, at: () => string): unknown {
  if (/^(-?[1-9][0-9]{0,8}|0)$/.test(text)) return new Int32(Number(text));
  if (integer.test(text) && text !== "-0" && int64(BigInt(text))) {
    const value = BigInt(text);
    return BigInt.asIntN(32, value) === value ? new Int32(Number(value)) : Long.fromBigInt(value);
  }
  const value = Number(text);
  if (!Number.isFinite(value)) throw invalid(at(), "is too large for a double", "invalid_number");
  return new Double(value);
}

const isText = (value: unknown): value is string => typeof value === "string";
const isOne = (value: unknown) => toNumber(value) === 1;

/** The same options twice, or in another order, are the same pattern: BSON keeps them sorted. */
const sortOptions = (options: string) => [...new Set(options)].sort().join("");

function readDate(value: unknown): Date | undefined {
  if (isLong(value) || value instanceof Int32) {
    const date = new Date(Number(value.toString()));
    return Number.isNaN(date.valueOf()) ? undefined : date;
  }
  if (!isText(value) || /\.\d{4}/.test(value)) return undefined;
  return parseTime(value) ?? undefined;
}

/** By what must not be in it: a pattern of the whole gives up on some megabytes. */
const isBase64 = (text: string): boolean => text.length % 4 === 0 && !/[^A-Za-z0-9+/]/.test(text.replace(/==?$/, ""));

function readBinary(value: unknown): Binary | undefined {
  if (!isDocument(value) || Object.keys(value).length !== 2) return undefined;
  const { base64, subType } = value;
  if (!isText(base64) || !isText(subType) || !/^[0-9a-f]{1,2}$/i.test(subType)) return undefined;
  if (!isBase64(base64)) return undefined;
  const type = Number.parseInt(subType, 16);
  const bytes = Buffer.from(base64, "base64");
  if (type === Binary.SUBTYPE_UUID) return bytes.length === 16 ? new UUID(bytes) : undefined;
  // Vectors (9) are checked by the driver, which throws when one is wrong; encrypted values (6) are nobody's here.
  return type === 9 || type === 6 ? undefined : new Binary(bytes, type);
}

function readTimestamp(value: unknown): Timestamp | undefined {
  if (!isDocument(value) || Object.keys(value).length !== 2) return undefined;
  const [t, i] = [value.t, value.i].map((part) => (isInteger(part, 0) ? toNumber(part) : Number.NaN));
  return t! <= 0xffffffff && i! <= 0xffffffff ? new Timestamp({ t: t!, i: i! }) : undefined;
}

function readRegExp(value: unknown): BSONRegExp | undefined {
  if (!isDocument(value) || Object.keys(value).length !== 2) return undefined;
  const { pattern, options } = value;
  if (!isText(pattern) || !isText(options) || pattern.includes("\0") || !/^[imsux]*$/.test(options)) return undefined;
  return new BSONRegExp(pattern, sortOptions(options));
}

const decimalLengthMax = 1_000;

function readDecimal(value: unknown): Decimal128 | undefined {
  // The driver takes the square of the length; 34 digits and an exponent say all that there is.
  if (
    !isText(value) ||
    value.length > decimalLengthMax ||
    !/^(-?Infinity|NaN|[+-]?(\d+(\.\d*)?|\.\d+)(E[+-]?\d{1,6})?)$/i.test(value)
  )
    return undefined;
  try {
    return Decimal128.fromString(value);
  } catch {
    return undefined;
  }
}

function readDouble(value: unknown): Double | undefined {
  if (!isText(value) || !/^(-?Infinity|NaN|-?\d+(\.\d*)?([eE][+-]?\d+)?)$/.test(value)) return undefined;
  return Number.isFinite(Number(value)) === /\d/.test(value) ? new Double(Number(value)) : undefined;
}

/** Each wrapper by its name; what is not as the specification has it is undefined. */
const wrappers: Record<string, (value: unknown) => unknown> = {
  $oid: (value) => (isText(value) && /^[0-9a-f]{24}$/i.test(value) ? new ObjectId(value) : undefined),
  $uuid: (value) =>
    isText(value) && /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(value) ? new UUID(value) : undefined,
  $numberInt: (value) => {
    if (!isText(value) || !integer.test(value)) return undefined;
    return BigInt.asIntN(32, BigInt(value)) === BigInt(value) ? new Int32(Number(value)) : undefined;
  },
  $numberLong: (value) =>
    isText(value) && integer.test(value) && int64(BigInt(value)) ? Long.fromBigInt(BigInt(value)) : undefined,
  $numberDouble: readDouble,
  $numberDecimal: readDecimal,
  $date: readDate,
  $binary: readBinary,
  $timestamp: readTimestamp,
  $regularExpression: readRegExp,
  $minKey: (value) => (isOne(value) ? new MinKey() : undefined),
  $maxKey: (value) => (isOne(value) ? new MaxKey() : undefined),
};
/** Types that run code or that BSON has given up: read from old documents, not taken from a caller. */
const typesRefused = ["$code", "$scope", "$symbol", "$undefined", "$dbPointer"];

function readFields(fields: Record<string, unknown>, special: boolean, at: () => string): unknown {
  if (!special) return fields;
  const names = Object.keys(fields);
  if (names.some((name) => typesRefused.includes(name)))
    throw invalid(at(), "has a type that isn't accepted", "invalid_extended_json");
  const wrapper = names.find((name) => Object.hasOwn(wrappers, name));
  if (wrapper === undefined) return fields;
  const value = names.length === 1 ? wrappers[wrapper]!(fields[wrapper]) : undefined;
  if (value === undefined) throw invalid(at(), `is not a well-formed ${wrapper}`, "invalid_extended_json");
  return value;
}

const createReader = (text: string, pointer: string) =>
  createJsonReader(text, pointer, { number: readNumber, object: readFields });

/**
 * Reads MongoDB Extended JSON v2, relaxed or canonical, into BSON's own types: `5` is an Int32 and `5.0` a Double. Names
 * that begin with `$` and are no type (operators) stay as they are. Throws `invalid_request`; `pointer` is where it begins.
 */
export function parseExtendedJson(text: string, pointer = "#"): unknown {
  const reader = createReader(text, pointer);
  reader.read(Number.POSITIVE_INFINITY);
  return reader.value;
}

/** The text of a body. @throws Failure `malformed_json` */
export function textOf(bytes: ArrayBuffer): string {
  try {
    // Otherwise a broken character would be stored as another one.
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw failure("malformed_json", "The body is not UTF-8.");
  }
}

const asMalformed = (error: unknown): unknown =>
  isFailure(error) && error.errors?.[0]?.code === "malformed_json" ? failure("malformed_json", error.message) : error;

/** What a body means. @throws Failure `malformed_json`, `invalid_request` */
export function parseBody(text: string): unknown {
  try {
    return parseExtendedJson(text);
  } catch (error) {
    throw asMalformed(error);
  }
}

/** So many values are read before others are let in. */
const piece = 500;

/** The same in slices, for text that may be a megabyte. @param valuesMax how many may be in it, names not counted */
export async function parseInSlices(text: string, slice: Slice, valuesMax: number): Promise<unknown> {
  try {
    const reader = createReader(text, "#");
    for (let left = valuesMax; !reader.read(Math.min(piece, left)); left -= piece) {
      if (left <= piece) throw invalid("#", `must have at most ${valuesMax} values`, "too_many");
      const pause = slice();
      if (pause) await pause;
    }
    return reader.value;
  } catch (error) {
    throw asMalformed(error);
  }
}
