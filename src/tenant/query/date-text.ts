import type { Document } from "mongodb";
import { isDocument } from "../../lib/bson/bson.ts";
import type { FieldError } from "../../lib/failure.ts";
import { under } from "../../lib/invalid.ts";

/** ISO 8601 as people and programs write it: a date, perhaps with a time and an offset. */
const isoPattern = /^\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?(?:Z|[+-]\d{2}:?\d{2})?)?$/i;
/** Operands that aren't compared with a field, or that an expression makes a date of. */
const apart: ReadonlySet<string> = new Set(["$regex", "$options", "$type", "$toDate", "$dateFromString", "$convert"]);
const warningsMax = 20;
const message = 'is a string, which never matches a date; write dates as {"$date": "2026-11-24T09:30:00Z"}';

/** Values of a filter that are compared as text and look like dates: a field that holds dates has none of them. */
export function findDateTexts(filter: unknown, pointer: string): FieldError[] {
  const found: FieldError[] = [];
  const look = (value: unknown, at: string): void => {
    if (found.length === warningsMax) return;
    if (typeof value === "string" && isoPattern.test(value)) found.push({ pointer: at, message, code: "date_as_text" });
    if (Array.isArray(value)) value.forEach((part, index) => look(part, under(at, index)));
    if (!isDocument(value)) return;
    for (const [name, part] of Object.entries(value)) if (!apart.has(name)) look(part, under(at, name));
  };
  look(filter, pointer);
  return found;
}

/** The same for the filters of a pipeline. */
export const findDateTextsOf = (pipeline: Document[], pointer: string): FieldError[] =>
  pipeline
    .flatMap(({ $match }, index) => findDateTexts($match, under(under(pointer, index), "$match")))
    .slice(0, warningsMax);
