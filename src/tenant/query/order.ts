import { Binary, BSONRegExp, Decimal128, type Document, Double, MaxKey, MinKey, ObjectId, Timestamp } from "mongodb";
import { isDocument, isNumeric } from "../../lib/bson/bson.ts";
import type { IdPath } from "./path.ts";
import type { Direction } from "./sort.ts";

/**
 * BSON's comparison order, a bracket for each group of types that are compared among themselves, and the `$type`s of it
 * (MongoDB manual, "Comparison/Sort Order"). `$gt` and `$lt` see only the bracket of their operand. Arrays are none: they
 * sort by an element.
 */
const brackets = {
  minKey: ["minKey"],
  undefined: ["undefined"],
  // A field that isn't there sorts like null.
  null: [],
  number: ["number"],
  string: ["string", "symbol"],
  object: ["object"],
  binary: ["binData"],
  objectId: ["objectId"],
  boolean: ["bool"],
  date: ["date"],
  timestamp: ["timestamp"],
  regex: ["regex"],
  // No value of these is ever a key, see `bracketOf`.
  code: ["dbPointer", "javascript", "javascriptWithScope"],
  maxKey: ["maxKey"],
} satisfies Record<string, string[]>;
export type Bracket = keyof typeof brackets;
const order = Object.keys(brackets) as Bracket[];

/** Null for what can't be the key of a place in the order: arrays, code, a date beyond JavaScript's. */
export function bracketOf(value: unknown): Bracket | null {
  if (value === null) return "null";
  if (typeof value === "string") return "string";
  if (typeof value === "boolean") return "boolean";
  if (isNumeric(value)) return "number";
  if (value instanceof Date) return Number.isNaN(value.valueOf()) ? null : "date";
  if (value instanceof ObjectId) return "objectId";
  if (value instanceof Binary) return "binary";
  if (value instanceof Timestamp) return "timestamp";
  if (value instanceof BSONRegExp) return "regex";
  if (value instanceof MinKey) return "minKey";
  if (value instanceof MaxKey) return "maxKey";
  return isDocument(value) ? "object" : null;
}

const isNaNValue = (value: unknown): boolean =>
  Number.isNaN(value instanceof Double ? value.value : value) ||
  (value instanceof Decimal128 && value.toString() === "NaN");

const nan = new Double(Number.NaN);

/** The documents whose field is equal to `value` in the order. */
export function sameAs(path: string, value: unknown): Document {
  const bracket = bracketOf(value);
  if (bracket === "null") return { [path]: null };
  if (bracket === "minKey" || bracket === "maxKey") return { [path]: { $type: bracket } };
  return { [path]: { $eq: value } };
}

/** Those that come after it within its bracket. */
function laterWithin(path: string, value: unknown, direction: Direction): Document[] {
  const operator = direction === 1 ? "$gt" : "$lt";
  switch (bracketOf(value)) {
    case "null":
    case "minKey":
    case "maxKey":
      return [];
    case "number":
      // NaN is the lowest number for a sort, but no number is less or greater than it for a filter.
      if (isNaNValue(value)) return direction === 1 ? [{ [path]: { $gte: new Double(Number.NEGATIVE_INFINITY) } }] : [];
      return direction === 1
        ? [{ [path]: { $gt: value } }]
        : [{ $or: [{ [path]: { $lt: value } }, { [path]: { $eq: nan } }] }];
    case "regex":
      // As an operand of a filter's `$gt` a pattern is refused.
      return [{ [path]: { $type: "regex" }, $expr: { [operator]: [`$${path}`, { $literal: value }] } }];
    default:
      return [{ [path]: { [operator]: value } }];
  }
}

/** Those in a later bracket. */
function laterBrackets(path: string, value: unknown, direction: Direction, idPath: IdPath): Document[] {
  const place = order.indexOf(bracketOf(value)!);
  const later = direction === 1 ? order.slice(place + 1) : order.slice(0, place);
  // An `_id` may be null, but it is never missing.
  const types = later.flatMap((bracket) => (bracket === "null" && path === idPath ? ["null"] : brackets[bracket]));
  const typed: Document[] = types.length > 0 ? [{ [path]: { $type: types } }] : [];
  const missing: Document[] = later.includes("null") && path !== idPath ? [{ [path]: null }] : [];
  // With an index FerretDB doesn't count it among the numbers.
  const notANumber: Document[] = later.includes("number") ? [{ [path]: { $eq: nan } }] : [];
  const any = [...missing, ...notANumber, ...typed];
  return any.length > 1 ? [{ $or: any }] : any;
}

/** Filters for what comes after `value` in the order of one field: disjoint, and each before the next one. */
export const laterThan = (path: string, value: unknown, direction: Direction, idPath: IdPath): Document[] => [
  ...laterWithin(path, value, direction),
  ...laterBrackets(path, value, direction, idPath),
];
