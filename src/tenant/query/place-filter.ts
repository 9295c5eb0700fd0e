import { BSONRegExp, type Document } from "mongodb";
import { isDocument } from "../../lib/bson.ts";
import { joiningOperators } from "./operators.ts";
import { type IdPath, placePath } from "./path.ts";

const hasPattern = (condition: unknown): condition is Document =>
  isDocument(condition) &&
  Array.isArray(condition.$in) &&
  condition.$in.some((element) => element instanceof BSONRegExp);

/** A filter that was read, for stored documents whose tenant's `_id` is at `idPath`. Values stay what they are. */
export function placeFilter(filter: Document, idPath: IdPath): Document {
  const more: Document[] = [];
  const placed = Object.entries(filter).map(([name, value]): [string, unknown] => {
    if (joiningOperators.has(name)) return [name, (value as Document[]).map((part) => placeFilter(part, idPath))];
    const path = placePath(name, idPath);
    if (name !== "_id" || !hasPattern(value)) return [path, value];
    // FerretDB looks an `$in` of `_id` up in its index, where no pattern matches anything.
    const { $in: list, ...others } = value;
    more.push({ [path]: { $not: { $nin: list } } });
    return [path, Object.keys(others).length > 0 ? others : { $exists: true }];
  });
  const renamed = Object.fromEntries(placed);
  return more.length > 0 ? { $and: [renamed, ...more] } : renamed;
}
