import { isDocument, toNumber } from "../../lib/bson/bson.ts";
import { parseExtendedJson } from "../../lib/json/extended-json.ts";
import { assertAtMost, invalid, under } from "../../lib/invalid.ts";
import { checkOwnPath, type IdPath, placePath } from "./path.ts";

export type Direction = 1 | -1;
/** Always ends with `_id`, so that no two documents are equal in it. */
export type Sort = readonly { path: string; direction: Direction }[];

/** Fields beside `_id`. */
export const sortFieldsMax = 4;
const isDirection = (value: number): value is Direction => value === 1 || value === -1;

function readEntries(value: unknown, pointer: string): [string, number][] {
  if (typeof value === "string") {
    if (value.trimStart().startsWith("{")) return readEntries(parseExtendedJson(value, pointer), pointer);
    return value === "" ? [] : value.split(",").map((part) => (part.startsWith("-") ? [part.slice(1), -1] : [part, 1]));
  }
  if (!isDocument(value)) throw invalid(pointer, 'must be {"a": 1, "b": -1} or "a,-b"', "invalid_type");
  if (losesOrder(value))
    throw invalid(pointer, 'has a numeric field name, so write the sort as "a,-0"', "ambiguous_order");
  return Object.entries(value).map(([path, direction]) => [path, toNumber(direction)]);
}

/** JavaScript puts names that are numbers before all others: the order that the caller wrote is lost. */
export const losesOrder = (value: unknown): boolean =>
  isDocument(value) && Object.keys(value).length > 1 && Object.keys(value).some((name) => /^(0|[1-9]\d*)$/.test(name));

/** A tenant's sort, as text (`a,-b`), as text of JSON or as an object, with `_id` at its end; else throws `invalid_request`. */
export function readSort(value: unknown, pointer = "#/sort"): Sort {
  const entries = value === undefined ? [] : readEntries(value, pointer);
  // `_id` may be among them.
  assertAtMost(entries.length, sortFieldsMax + 1, "fields", pointer);
  const fields: { path: string; direction: Direction }[] = [];
  for (const [path, direction] of entries) {
    const at = under(pointer, path);
    checkOwnPath(path, at);
    if (!isDirection(direction)) throw invalid(at, "must be 1 or -1", "invalid_direction");
    if (fields.some((field) => field.path === path)) throw invalid(at, "occurs twice", "duplicate_name");
    fields.push({ path, direction });
  }
  const id = fields.findIndex(({ path }) => path === "_id");
  // What comes after `_id` decides nothing.
  const sort: Sort = id < 0 ? [...fields, { path: "_id", direction: 1 }] : fields.slice(0, id + 1);
  assertAtMost(sort.length - 1, sortFieldsMax, "fields beside _id", pointer);
  return sort;
}

/** As the driver takes it, in an order that JavaScript can't change. */
export const placeSort = (sort: Sort, idPath: IdPath): [string, Direction][] =>
  sort.map(({ path, direction }) => [placePath(path, idPath), direction]);
