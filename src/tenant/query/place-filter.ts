import { BSONRegExp, type Document } from "mongodb";
import { isDocument } from "../../lib/bson/bson.ts";
import type { Engine } from "../../lib/mongo/engine.ts";
import { joiningOperators } from "./operators.ts";
import { type IdPath, placePath } from "./path.ts";

const hasPattern = (condition: unknown): condition is Document =>
  isDocument(condition) &&
  Array.isArray(condition.$in) &&
  condition.$in.some((element) => element instanceof BSONRegExp);

/** An `$elemMatch` that says what an element is, not what fields it has. */
const isOfValues = (operand: unknown): boolean => {
  const names = isDocument(operand) ? Object.keys(operand) : [];
  return names.length > 0 && names.every((name) => name.startsWith("$") && !joiningOperators.has(name));
};

/**
 * What FerretDB 2.7 can't answer is asked in other words; what is left of the condition is null when that was all of it.
 *
 * An `$in` of `_id` it looks up in its index, where no pattern matches anything. And an `$elemMatch` of values reads memory
 * that isn't there when an index of several fields serves it, as all in the shared collection are: it ends the server with
 * the statements of everybody. Behind two `$not` no index is used.
 */
function reword(name: string, condition: Document): { left: Document | null; more: Document[] } {
  const { $in: list, $elemMatch: element, $all: all, ...others } = condition;
  const more: Document[] = [];
  const left: Document = { ...others };
  const setAside = (operand: unknown) => more.push({ $not: { $not: { $elemMatch: operand } } });

  if (name === "_id" && hasPattern(condition)) more.push({ $not: { $nin: list } });
  else if (list !== undefined) left.$in = list;

  if (isOfValues(element)) setAside(element);
  else if (element !== undefined) left.$elemMatch = element;

  const elements: unknown[] = Array.isArray(all)
    ? all.map((each) => (isDocument(each) ? each.$elemMatch : undefined))
    : [];
  if (elements.some(isOfValues)) for (const each of elements) setAside(each);
  else if (all !== undefined) left.$all = all;

  return { left: Object.keys(left).length > 0 ? left : null, more };
}

const isReworded = (name: string, condition: unknown): condition is Document =>
  isDocument(condition) &&
  ((name === "_id" && hasPattern(condition)) || "$elemMatch" in condition || "$all" in condition);

/**
 * A filter that was read, for stored documents whose tenant's `_id` is at `idPath`. Values stay what they are. MongoDB is
 * asked in the caller's own words: it finds nothing in an index by the others.
 */
export function placeFilter(filter: Document, idPath: IdPath, engine: Engine): Document {
  const more: Document[] = [];
  const placed = Object.entries(filter).flatMap(([name, value]): [string, unknown][] => {
    if (joiningOperators.has(name)) {
      return [[name, (value as Document[]).map((part) => placeFilter(part, idPath, engine))]];
    }
    const path = placePath(name, idPath);
    if (engine !== "ferretdb" || !isReworded(name, value)) return [[path, value]];
    const reworded = reword(name, value);
    more.push(...reworded.more.map((condition) => ({ [path]: condition })));
    return reworded.left ? [[path, reworded.left]] : [];
  });
  const renamed = Object.fromEntries(placed);
  if (more.length === 0) return renamed;
  return placed.length === 0 && more.length === 1
    ? more[0]!
    : { $and: [...(placed.length > 0 ? [renamed] : []), ...more] };
}
