import type { Document } from "mongodb";
import { isDocument } from "../../../lib/bson/bson.ts";
import { mapExpressions } from "../map-stages.ts";

// FerretDB 2.7 changes a text's case where the text is. What `$type` gives, or a truth as a text, is a constant of its
// program: the process of PostgreSQL that writes there dies, and takes everybody's connections along.

const changesCase: ReadonlySet<string> = new Set(["$toUpper", "$toLower", "$strcasecmp"]);
const isField = (value: unknown) => typeof value === "string" && !value.startsWith("$$");

/** The same text elsewhere, of all that the operators take for one: numbers, dates, null. */
const copied = (value: unknown): unknown =>
  isField(value) ? value : { $concat: [{ $substrBytes: [value, 0, -1] }, ""] };

function inExpression(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(inExpression);
  if (!isDocument(value) || "$literal" in value) return value;
  const entries = Object.entries(value).map(([name, part]) => {
    const made = inExpression(part);
    if (!changesCase.has(name)) return [name, made];
    return [name, Array.isArray(made) ? made.map(copied) : copied(made)];
  });
  return Object.fromEntries(entries);
}

/** A pipeline whose expressions change the case of nothing but fields and copies, for FerretDB. */
export const copyTexts = (pipeline: readonly Document[]): Document[] => mapExpressions(pipeline, inExpression);
