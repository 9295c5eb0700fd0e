import { createHash } from "node:crypto";
import type { Document } from "mongodb";
import { isDocument } from "../../lib/bson/bson.ts";
import { parseExtendedJson, printExtendedJson } from "../../lib/json/extended-json.ts";
import { type Failure, failure } from "../../lib/failure.ts";
import { bracketOf, laterThan, sameAs } from "./order.ts";
import { type IdPath, placePath } from "./path.ts";
import type { Sort } from "./sort.ts";

export type PageFailure = "invalid_cursor" | "unsupported_sort";

const unsupportedSort = (path: string, because: string): Failure<PageFailure> => {
  const message = `can't be paged by: ${because}`;
  const errors = [{ pointer: "#/sort", message: `${path} ${message}`, code: "unsupported_sort" }];
  return failure<PageFailure>("unsupported_sort", `${path} ${message}.`, { errors });
};

const arrayThere = "a document has an array in this field";

function fieldOf(value: unknown, name: string): unknown {
  if (value instanceof Map) return value.get(name) ?? null;
  return isDocument(value) && Object.hasOwn(value, name) ? value[name] : null;
}

/** The value that a document sorts by, null when there is none. Throws `unsupported_sort` when an array is on the way. */
function keyOf(document: Document, path: string): unknown {
  let value: unknown = document;
  for (const part of path.split(".")) {
    value = fieldOf(value, part);
    if (Array.isArray(value) || fieldOf(value, "$ref") !== null) throw unsupportedSort(path, arrayThere);
  }
  if (bracketOf(value) === null)
    throw unsupportedSort(path, "a document has a value in this field that no filter can compare");
  return value;
}

/** What a document (as its tenant knows it) sorts by, one value for each field of the sort. */
export const keysOf = (sort: Sort, document: Document): unknown[] => sort.map(({ path }) => keyOf(document, path));

/** A large document of a page, as JSON, and what it sorts by, in Extended JSON: both made on a thread. */
export type Printed = { readonly json: Uint8Array; readonly keys: string };
const printed = Object.freeze({});
// Told by the prototype, as a tenant's field may have any name.
export const asPrinted = (made: Printed): Printed => Object.assign(Object.create(printed), made);
export const isPrinted = (document: object): document is Printed => Object.getPrototypeOf(document) === printed;

/**
 * The last document of a full page is where the next one begins. Arrays are refused wherever they are in the page: a
 * filter that compares elements would show such a document on several pages, or on none.
 */
export function lastKeys(sort: Sort, page: readonly (Document | Printed)[]): readonly unknown[] | string {
  let last: readonly unknown[] | string = [];
  for (const document of page) last = isPrinted(document) ? document.keys : keysOf(sort, document);
  return last;
}

/**
 * What comes after the place that `keys` mark, in parts: no document is in two of them, and all of one come before all
 * of the next. Asked one after another until the page is full, each is one range of an index.
 */
export function afterInTurn(sort: Sort, keys: readonly unknown[], idPath: IdPath): Document[] {
  const parts: Document[] = [];
  for (let length = sort.length; length > 0; length--) {
    const same = sort.slice(0, length - 1).map(({ path }, index) => sameAs(placePath(path, idPath), keys[index]));
    const { path, direction } = sort[length - 1]!;
    for (const later of laterThan(placePath(path, idPath), keys[length - 1], direction, idPath)) {
      parts.push(same.length > 0 ? { $and: [...same, later] } : later);
    }
  }
  return parts;
}

/**
 * The documents that no page may show, as they have an array where they are sorted by (or on the way to it); null when
 * none can. Whoever walks asks for one of them where the walk ends, and answers `unsupported_sort` if there is one.
 */
export function arraysOn(sort: Sort): Document | null {
  const paths = sort.flatMap(({ path }) => {
    const parts = path.split(".");
    return path === "_id" ? [] : parts.map((_, index) => parts.slice(0, index + 1).join("."));
  });
  return paths.length > 0 ? { $or: [...new Set(paths)].map((path) => ({ [path]: { $type: "array" } })) } : null;
}

export const arraysFound = (sort: Sort): Failure<PageFailure> =>
  unsupportedSort(sort.map(({ path }) => path).join(","), arrayThere);

/** A longer one fits into no URL. */
const cursorLengthMax = 8_192;

const sortText = (sort: Sort): string => JSON.stringify(sort.map(({ path, direction }) => [path, direction]));
const digestOf = (filter: Document): string =>
  createHash("sha256").update(printExtendedJson(filter)).digest("base64url").slice(0, 22);

function comesBack(text: string): boolean {
  try {
    return printExtendedJson(parseExtendedJson(text)) === text;
  } catch {
    return false;
  }
}

/**
 * Where a walk by this sort and filter goes on: opaque to the caller, and of no use with another sort or filter.
 *
 * @param keys or, as text, what they are in Extended JSON
 */
export function encodeCursor(sort: Sort, filter: Document, keys: readonly unknown[] | string): string {
  const printed = typeof keys === "string" ? keys : printExtendedJson(keys);
  const text = `{"f":"${digestOf(filter)}","k":${printed},"s":${JSON.stringify(sortText(sort))}}`;
  const cursor = Buffer.from(text).toString("base64url");
  if (cursor.length > cursorLengthMax) throw unsupportedSort("The value", "it is too long");
  // Objects of the first Croupier may hold names that Extended JSON reads as something else.
  if (!comesBack(text)) throw unsupportedSort("The value", "it has names that begin with $");
  return cursor;
}

const invalidCursor = (message: string, pointer: string): Failure<PageFailure> =>
  failure<PageFailure>("invalid_cursor", `The cursor ${message}.`, {
    errors: [{ pointer, message, code: "invalid_cursor" }],
  });

function readCursor(cursor: string): Document | null {
  if (cursor.length > cursorLengthMax || !/^[\w-]+$/.test(cursor)) return null;
  try {
    const read = parseExtendedJson(Buffer.from(cursor, "base64url").toString());
    return isDocument(read) ? read : null;
  } catch {
    return null;
  }
}

/** The keys in a cursor. It may have been made up: whatever is in it only ever becomes a value to compare with. */
export function decodeCursor(cursor: string, sort: Sort, filter: Document, pointer = "#/cursor"): unknown[] {
  const read = readCursor(cursor);
  const keys: unknown = read?.k;
  if (!read || !Array.isArray(keys)) throw invalidCursor("was not issued by this API", pointer);
  if (read.s !== sortText(sort) || read.f !== digestOf(filter)) {
    throw invalidCursor("belongs to another sort or filter", pointer);
  }
  // The first Croupier's documents may have an `_id` that is no scalar.
  if (keys.length !== sort.length || keys.some((key) => bracketOf(key) === null)) {
    throw invalidCursor("was not issued by this API", pointer);
  }
  return keys;
}
