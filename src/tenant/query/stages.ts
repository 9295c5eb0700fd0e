import type { Document } from "mongodb";
import { isDocument, isInteger, toNumber } from "../../lib/bson/bson.ts";
import { assertAtMost, invalid, under } from "../../lib/invalid.ts";
import { checkAccumulator, checkExpression } from "./expression.ts";
import { readFilter } from "./filter.ts";
import { accumulators, type AggregationStage, windowOperators } from "./operators.ts";
import { checkOwnPath, checkPath } from "./path.ts";
import { losesOrder } from "./sort.ts";

type Check = (value: unknown, pointer: string) => void;

/** Fields that one stage names. */
export const stageFieldsMax = 200;

const wrong = (pointer: string, message: string) => invalid(pointer, message, "invalid_stage");

/** The arguments of a stage: names that it has, each with its check. */
function checkArguments(value: unknown, pointer: string, checks: Record<string, Check>, needed: string[]): void {
  if (!isDocument(value)) throw wrong(pointer, "must be an object");
  for (const [name, part] of Object.entries(value)) {
    const at = under(pointer, name);
    if (!Object.hasOwn(checks, name)) throw wrong(at, "is not an argument of this stage");
    checks[name]!(part, at);
  }
  const missing = needed.find((name) => !Object.hasOwn(value, name));
  if (missing !== undefined) throw wrong(under(pointer, missing), "is missing");
}

/**
 * Croupier's names are refused at the top of what a stage makes as well: MongoDB puts a field that was removed and is set
 * again where it had been, so that the order of the fields would tell a stored document from a plain one.
 */
const checkTarget = (path: string, pointer: string): void => checkOwnPath(path, pointer, "allowed");

function eachField(value: unknown, pointer: string, check: Check): void {
  if (!isDocument(value) || Object.keys(value).length === 0) throw wrong(pointer, "must be an object with fields");
  assertAtMost(Object.keys(value).length, stageFieldsMax, "fields", pointer);
  for (const [path, part] of Object.entries(value)) {
    checkTarget(path, under(pointer, path));
    check(part, under(pointer, path));
  }
}

const checkField: Check = (value, pointer) => {
  if (typeof value !== "string") throw wrong(pointer, "must be the path of a field");
  checkTarget(value, pointer);
};
const checkFields: Check = (value, pointer) => {
  if (!Array.isArray(value) || value.length === 0) throw wrong(pointer, "must be an array of paths");
  assertAtMost(value.length, stageFieldsMax, "paths", pointer);
  value.forEach((path, index) => checkField(path, under(pointer, index)));
};
const checkName: Check = (value, pointer) => {
  checkField(value, pointer);
  if (String(value).includes(".")) throw wrong(pointer, "can't have a dot");
};
const checkFlag: Check = (value, pointer) => {
  if (typeof value !== "boolean") throw wrong(pointer, "must be true or false");
};
const checkWord: Check = (value, pointer) => {
  if (typeof value !== "string" || value.startsWith("$")) throw wrong(pointer, "must be a word");
};
const checkSort: Check = (value, pointer) => {
  if (losesOrder(value)) throw wrong(pointer, "has a numeric field name, so the order of the fields can't be kept");
  eachField(value, pointer, (direction, at) => {
    if (![1, -1].includes(toNumber(direction))) throw wrong(at, "must be 1 or -1");
  });
};
const from =
  (lowest: number): Check =>
  (value, pointer) => {
    if (!isInteger(value, lowest)) throw wrong(pointer, `must be a whole number from ${lowest}`);
  };
const checkOutput: Check = (value, pointer) =>
  eachField(value, pointer, (part, at) => checkAccumulator(part, at, accumulators));
const checkPlainArray: Check = (value, pointer) => {
  if (!Array.isArray(value)) throw wrong(pointer, "must be an array");
  checkExpression(value, pointer);
};

const checkWindow: Check = (value, pointer) =>
  checkArguments(value, pointer, { documents: checkPlainArray, range: checkPlainArray, unit: checkWord }, []);
const checkWindowOutput: Check = (value, pointer) =>
  eachField(value, pointer, (part, at) => {
    checkAccumulator(part, at, windowOperators, ["window"]);
    if (isDocument(part) && part.window !== undefined) checkWindow(part.window, under(at, "window"));
  });

const checkRange: Check = (value, pointer) => {
  const bounds: Check = (part, at) => (typeof part === "string" ? checkWord(part, at) : checkPlainArray(part, at));
  checkArguments(value, pointer, { step: checkExpression, unit: checkWord, bounds }, ["step", "bounds"]);
};
const checkFillOutput: Check = (value, pointer) =>
  eachField(value, pointer, (part, at) => checkArguments(part, at, { value: checkExpression, method: checkWord }, []));

/** What each stage takes; `$facet` is with the pipelines that it holds, in `pipeline.ts`. */
export const stageChecks: Record<Exclude<AggregationStage, "$facet">, Check> = {
  $addFields: (value, pointer) => eachField(value, pointer, checkExpression),
  $set: (value, pointer) => eachField(value, pointer, checkExpression),
  $project: (value, pointer) => eachField(value, pointer, checkExpression),
  $match: (value, pointer) => {
    if (value === undefined) throw wrong(pointer, "must be an object");
    readFilter(value, pointer, { beneathId: "allowed", checkExpression });
  },
  $group(value, pointer) {
    if (!isDocument(value) || !Object.hasOwn(value, "_id")) throw wrong(under(pointer, "_id"), "is missing");
    const { _id, ...fields } = value as Document;
    checkExpression(_id, under(pointer, "_id"));
    if (Object.keys(fields).length > 0) checkOutput(fields, pointer);
  },
  $bucket: (value, pointer) =>
    checkArguments(
      value,
      pointer,
      { groupBy: checkExpression, boundaries: checkPlainArray, default: checkExpression, output: checkOutput },
      ["groupBy", "boundaries"],
    ),
  $bucketAuto: (value, pointer) =>
    checkArguments(
      value,
      pointer,
      { groupBy: checkExpression, buckets: from(1), output: checkOutput, granularity: checkWord },
      ["groupBy", "buckets"],
    ),
  $sortByCount: checkExpression,
  $count: checkName,
  $sort: checkSort,
  $limit: from(1),
  $skip: from(0),
  $sample: (value, pointer) => checkArguments(value, pointer, { size: from(1) }, ["size"]),
  $unset: (value, pointer) => (Array.isArray(value) ? checkFields(value, pointer) : checkField(value, pointer)),
  $replaceRoot: (value, pointer) => checkArguments(value, pointer, { newRoot: checkExpression }, ["newRoot"]),
  $replaceWith: checkExpression,
  $unwind(value, pointer) {
    const path: Check = (part, at) => {
      if (typeof part !== "string" || !part.startsWith("$")) throw wrong(at, 'must be a path with $ before it: "$a.b"');
      checkPath(part.slice(1), at);
    };
    if (!isDocument(value)) return path(value, pointer);
    const checks = { path, includeArrayIndex: checkField, preserveNullAndEmptyArrays: checkFlag };
    checkArguments(value, pointer, checks, ["path"]);
  },
  $setWindowFields: (value, pointer) =>
    checkArguments(value, pointer, { partitionBy: checkExpression, sortBy: checkSort, output: checkWindowOutput }, [
      "output",
    ]),
  $densify: (value, pointer) =>
    checkArguments(value, pointer, { field: checkField, partitionByFields: checkFields, range: checkRange }, [
      "field",
      "range",
    ]),
  $fill: (value, pointer) =>
    checkArguments(
      value,
      pointer,
      { partitionBy: checkExpression, partitionByFields: checkFields, sortBy: checkSort, output: checkFillOutput },
      ["output"],
    ),
};
