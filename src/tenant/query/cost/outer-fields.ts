import type { Document } from "mongodb";
import { isDocument } from "../../../lib/bson/bson.ts";
import { printExtendedJson } from "../../../lib/json/extended-json.ts";
import { mapExpressions } from "../map-stages.ts";

// In a loop a field of the document is looked up in each round, through the names beside it, and FerretDB copies what is
// there. Bound by a loop of one round around it, it is looked up once. (`$let` would not do: FerretDB evaluates its variables
// wherever they stand.)

/** What each operator that loops does in each round. */
const bodies = new Map([
  ["$map", "in"],
  ["$filter", "cond"],
  ["$reduce", "in"],
]);
/** Fields of one loop, each of which makes the expression deeper, and places where it has them: more would cost too much anyway. */
const [fieldsMax, usesMax] = [5, 100];

const bind = (value: unknown, as: string, within: unknown) => ({
  $arrayElemAt: [{ $map: { input: [value], as, in: within } }, 0],
});

/** As an element of an array a field that isn't there is null; whether it is there is bound beside it. */
const typeOf = (name: string) => `${name}type`;
const bound = (name: string) => ({ $cond: [{ $eq: [`$$${typeOf(name)}`, "missing"] }, "$$REMOVE", `$$${name}`] });

const isField = (value: unknown): value is string =>
  typeof value === "string" && value.startsWith("$") && !value.startsWith("$$");

function replaceFields(value: unknown, replace: (path: string) => unknown): unknown {
  if (isField(value)) return replace(value);
  if (Array.isArray(value)) return value.map((part) => replaceFields(part, replace));
  if (!isDocument(value) || "$literal" in value) return value;
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, replaceFields(part, replace)]));
}

/** @param prefixOf says how the new variables' names begin, once there is any */
function bindAround(operator: string, argument: Document, prefixOf: () => string): Document {
  const names = new Map<string, string>();
  let uses = 0;
  const nameOf = (path: string) => names.getOrInsertComputed(path, () => `${prefixOf()}${names.size}`);
  const body = bodies.get(operator)!;
  const bodyBound = replaceFields(argument[body], (path) => (++uses > usesMax ? path : bound(nameOf(path))));
  const isBound = names.size > 0 && names.size <= fieldsMax && uses <= usesMax;
  const others = Object.entries(argument).map(([name, part]) => [
    name,
    name === body ? part : inExpression(part, prefixOf),
  ]);
  const loop = { [operator]: { ...Object.fromEntries(others), ...(isBound && { [body]: bodyBound }) } };
  if (!isBound) return loop;
  // Inside an object, as what a loop gives is missing where it would be without.
  const around = [...names].reduce<unknown>(
    (within, [path, name]) => bind(path, name, bind({ $type: path }, typeOf(name), within)),
    { made: loop },
  );
  return { $getField: { field: "made", input: around } };
}

function inExpression(value: unknown, prefixOf: () => string): unknown {
  if (Array.isArray(value)) return value.map((part) => inExpression(part, prefixOf));
  if (!isDocument(value) || "$literal" in value) return value;
  const loop = Object.keys(value).find((name) => bodies.has(name) && isDocument(value[name]));
  if (loop !== undefined) return bindAround(loop, value[loop], prefixOf);
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, inExpression(part, prefixOf)]));
}

/** What no name in the pipeline begins with. */
function freePrefix(pipeline: readonly Document[]): string {
  const used = new Set([...printExtendedJson(pipeline).matchAll(/outer(\d+)/g)].map(([, digits]) => Number(digits)));
  let number = 0;
  while (used.has(number)) number++;
  return `outer${number}_`;
}

/**
 * A pipeline with the same outcome, in which no loop looks a field of the document up: it is bound around the outermost.
 * Null when there is none to be bound.
 */
export function bindOuterFields(pipeline: readonly Document[]): Document[] | null {
  let prefix: string | undefined;
  const prefixOf = () => (prefix ??= freePrefix(pipeline));
  const bound = mapExpressions(pipeline, (value) => inExpression(value, prefixOf));
  return prefix === undefined ? null : bound;
}
