import type { Document } from "mongodb";
import { isDocument, toNumber } from "../../../lib/bson/bson.ts";
import { under } from "../../../lib/invalid.ts";
import {
  copiesMax,
  rangeMax,
  type Shape,
  sizeOfField,
  sizeOfShape,
  stepsMax,
  storedShape,
  tooCostly,
  walksMax,
} from "./cost.ts";
import { createMeasure } from "./expression-cost.ts";
import { countConditions } from "../filter.ts";
import { constant, type Growth, keyUnder, largest, plus, shareOf, sizeOf, times } from "./growth.ts";
import { isPlain, mapTargets } from "../nested-target.ts";
import type { AggregationStage } from "../operators.ts";

/** What all expressions of a pipeline do together for one document. */
type Spent = { steps: number; walks: number };
type Measure = (value: unknown, pointer: string) => Growth;
type StageCost = (argument: any, pointer: string, shape: Shape, measure: Measure, spent: Spent) => Shape | void;

const isFlag = (value: unknown): boolean => typeof value === "boolean" || !Number.isNaN(toNumber(value));

/** Where an array is on the way, only a plain value is set for each of its elements (`nested-target.ts`). */
const setFields: StageCost = (argument: Document, pointer, shape, measure) => {
  const fields = new Map(shape.fields);
  mapTargets(
    argument,
    (value, path, at) => {
      // A flag of `$project`, or a number, which is as large as one.
      if (isFlag(value)) return;
      const [top = "", ...beneath] = path.split(".");
      const size = measure(value, at);
      const before = fields.get(top) ?? sizeOfField(shape, top);
      const forEach = isPlain(value) ? times(before, size.constant) : size;
      fields.set(top, beneath.length === 0 ? size : plus(before, forEach));
    },
    pointer,
  );
  return { ...shape, fields };
};

const atTop = (paths: string[], pointer: string): void => {
  const nested = paths.find((path) => path.includes("."));
  if (nested === undefined) return;
  const instead = "set a top-level field, and move it into place with $set";
  throw tooCostly(under(pointer, nested), "may be computed in every element of an array", instead);
};

/** A document of its own; one that gathers several is itself what the next stage looks at. */
const gathered = (names: Iterable<[string, Growth]>): Shape => ({
  rest: constant(0),
  fields: new Map([...names].map(([name, size]) => [name, largest(size, sizeOf(keyUnder("doc", [name])))])),
});
const accumulate = (output: Document, pointer: string, measure: Measure): [string, Growth][] =>
  Object.entries(output).map(([name, accumulator]) => {
    const at = under(pointer, name);
    const parts = Object.entries(accumulator as Document).filter(([operator]) => operator !== "window");
    return [name, plus(...parts.map(([operator, operand]) => measure(operand, under(at, operator))))];
  });

const inBuckets: StageCost = (argument: Document, pointer, _shape, measure) => {
  for (const name of ["groupBy", "boundaries", "default"]) {
    if (argument[name] !== undefined) measure(argument[name], under(pointer, name));
  }
  const output = isDocument(argument.output) ? argument.output : { count: { $sum: 1 } };
  return gathered([["_id", sizeOf("doc._id")], ...accumulate(output, under(pointer, "output"), measure)]);
};

/** Lengths of `$densify`'s units; the shortest that one may have. */
const unitMs: Record<string, number> = {
  millisecond: 1,
  second: 1_000,
  minute: 60_000,
  hour: 3_600_000,
  day: 86_400_000,
  week: 604_800_000,
  month: 28 * 86_400_000,
  quarter: 90 * 86_400_000,
  year: 365 * 86_400_000,
};
const numberOf = (value: unknown): number => (value instanceof Date ? value.getTime() : toNumber(value));

const densify: StageCost = ({ range }: Document, pointer) => {
  const at = under(under(pointer, "range"), "bounds");
  const [from, to] = Array.isArray(range.bounds) ? range.bounds.map(numberOf) : [NaN, NaN];
  const step = numberOf(range.step) * (unitMs[range.unit] ?? 1);
  // Also when one of them is no number.
  if (!((to! - from!) / step <= rangeMax)) {
    const message = `may produce more than ${rangeMax} documents`;
    throw tooCostly(at, message, `give two bounds that are at most ${rangeMax} steps apart`);
  }
};

const expressionsOfFilter = (filter: Document, pointer: string, measure: Measure): void => {
  for (const [name, value] of Object.entries(filter)) {
    const at = under(pointer, name);
    if (name === "$expr") measure(value, at);
    else if (name.startsWith("$") && Array.isArray(value)) {
      value.forEach((part, index) => expressionsOfFilter(part, under(at, index), measure));
    }
  }
};

const nothing: StageCost = () => {};

const stageCosts: Record<AggregationStage, StageCost> = {
  $addFields: setFields,
  $set: setFields,
  $project: setFields,
  $match(argument, pointer, _shape, measure, spent) {
    spend(spent, times(sizeOf("doc"), countConditions(argument)), pointer);
    expressionsOfFilter(argument, pointer, measure);
  },
  $group({ _id, ...output }, pointer, _shape, measure) {
    const id = measure(_id, under(pointer, "_id"));
    return gathered([["_id", id], ...accumulate(output, pointer, measure)]);
  },
  $bucket: inBuckets,
  $bucketAuto: inBuckets,
  $sortByCount: (argument, pointer, _shape, measure) =>
    gathered([
      ["_id", measure(argument, pointer)],
      ["count", constant(1)],
    ]),
  $replaceRoot: ({ newRoot }, pointer, _shape, measure) => ({
    fields: new Map(),
    rest: measure(newRoot, under(pointer, "newRoot")),
  }),
  $replaceWith: (argument, pointer, _shape, measure) => ({ fields: new Map(), rest: measure(argument, pointer) }),
  $setWindowFields({ partitionBy, output }, pointer, shape, measure) {
    if (partitionBy !== undefined) measure(partitionBy, under(pointer, "partitionBy"));
    atTop(Object.keys(output), under(pointer, "output"));
    const made = accumulate(output, under(pointer, "output"), measure);
    return {
      ...shape,
      fields: new Map([...shape.fields, ...made.map(([path, size]): [string, Growth] => [path.split(".")[0]!, size])]),
    };
  },
  $fill({ partitionBy, output }, pointer, shape, measure) {
    if (partitionBy !== undefined) measure(partitionBy, under(pointer, "partitionBy"));
    const values = Object.entries(output as Document).filter(([, { value }]) => value !== undefined);
    const at = under(pointer, "output");
    atTop(Object.keys(output), at);
    const made = values.map(([path, { value }]): [string, Growth] => {
      const top = path.split(".")[0]!;
      return [top, plus(sizeOfField(shape, top), measure(value, under(under(at, path), "value")))];
    });
    return { ...shape, fields: new Map([...shape.fields, ...made]) };
  },
  $facet: (argument, pointer, shape, _measure, spent) =>
    gathered(
      Object.entries(argument as Document).map(([name, inner]) => [
        name,
        sizeOfShape(measureStages(inner, under(pointer, name), shape, spent)),
      ]),
    ),
  $densify: densify,
  $count: () => gathered([]),
  $limit: nothing,
  $sample: nothing,
  $skip: nothing,
  $sort: nothing,
  $unset: nothing,
  $unwind: nothing,
};

function measureStages(pipeline: Document[], pointer: string, first: Shape, spent: Spent): Shape {
  return pipeline.reduce<Shape>((shape, stage, index) => {
    const [name, argument] = Object.entries(stage)[0] as [AggregationStage, unknown];
    const at = under(under(pointer, index), name);
    const measure = createMeasure(shape, (work, where) => spend(spent, work, where));
    const next = stageCosts[name](argument, at, shape, measure, spent) ?? shape;
    if (shareOf(sizeOfShape(next), "doc") > copiesMax) {
      const message = `produces documents more than ${copiesMax} times as large as the stored ones`;
      throw tooCostly(at, message, "leave out fields that aren't needed, or don't set them twice");
    }
    return next;
  }, first);
}

function spend(spent: Spent, work: Growth, pointer: string): void {
  spent.steps += work.constant;
  spent.walks += shareOf(work, "doc");
  if (spent.steps > stepsMax) {
    throw tooCostly(
      pointer,
      `brings the pipeline to more than ${stepsMax} steps for each document`,
      "do less in one pipeline",
    );
  }
  if (spent.walks > walksMax) {
    const message = `brings the pipeline to more than ${walksMax} steps for each part of a document`;
    throw tooCostly(pointer, message, "do less in one pipeline, or use $unwind and $group");
  }
}

/** Refuses a pipeline that was checked when an expression in it may go on for too long. @throws Failure `expression_too_costly` */
export const checkCost = (pipeline: Document[], pointer: string): void =>
  void measureStages(pipeline, pointer, storedShape, { steps: 0, walks: 0 });
