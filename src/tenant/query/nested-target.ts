import type { Document } from "mongodb";
import { isDocument } from "../../lib/bson/bson.ts";
import { under } from "../../lib/invalid.ts";
import { mapStages } from "./map-stages.ts";

const settingStages: ReadonlySet<string> = new Set(["$set", "$addFields", "$project"]);

const isOperator = (value: Document): boolean => Object.keys(value).some((name) => name.startsWith("$"));

/** A value that is the same for every element, and is no work. */
export function isPlain(value: unknown): boolean {
  if (typeof value === "string") return !value.startsWith("$") || value === "$$REMOVE" || value === "$$NOW";
  if (Array.isArray(value)) return value.every(isPlain);
  if (!isDocument(value)) return true;
  return Object.hasOwn(value, "$literal") || (!isOperator(value) && Object.values(value).every(isPlain));
}

type Change = (value: unknown, path: string, pointer: string) => unknown;

/** The expressions of a stage that sets fields, each with its whole path; objects without operators are paths further on. */
export function mapTargets(fields: Document, change: Change, pointer = "", above = ""): Document {
  const entries = Object.entries(fields).map(([name, value]): [string, unknown] => {
    const [path, at] = [above + name, under(pointer, name)];
    const isFurther = isDocument(value) && !isOperator(value);
    return [name, isFurther ? mapTargets(value, change, at, `${path}.`) : change(value, path, at)];
  });
  return Object.fromEntries(entries);
}

/**
 * Where an array is on the way to a field that is set, the databases evaluate the expression for each of its elements. So it
 * fails there: for the first of them, and the others are not come to.
 */
function guarded(value: unknown, path: string): unknown {
  const parts = path.split(".");
  if (parts.length === 1 || isPlain(value)) return value;
  const arrays = parts.slice(1).map((_, index) => ({ $isArray: [`$${parts.slice(0, index + 1).join(".")}`] }));
  return { $cond: [{ $or: arrays }, { $toInt: { $type: `$${parts[0]}` } }, value] };
}

/** The same pipeline, but for arrays on the way to a field that it sets. */
export const guardTargets = (pipeline: Document[]): Document[] =>
  mapStages(pipeline, (stage) => {
    const [name, argument] = Object.entries(stage)[0] as [string, Document];
    return settingStages.has(name) ? { [name]: mapTargets(argument, guarded) } : stage;
  });
