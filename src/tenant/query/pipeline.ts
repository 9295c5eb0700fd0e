import type { Document } from "mongodb";
import { isDocument } from "../../lib/bson/bson.ts";
import type { Engine } from "../../lib/mongo/engine.ts";
import { assertAtMost, invalid, under } from "../../lib/invalid.ts";
import { reservedNames } from "../document.ts";
import { placeFilter } from "./filter.ts";
import { joiningOperators } from "./operators.ts";
import { guardTargets } from "./nested-target.ts";
import { bindOuterFields } from "./cost/outer-fields.ts";
import { checkPath, type IdPath, placePath } from "./path.ts";
import { copyTexts } from "./cost/copied-text.ts";
import { checkCost } from "./cost/pipeline-cost.ts";
import { stageChecks } from "./stages.ts";

/** Those inside a `$facet` count too. */
export const stagesMax = 50;

function checkFacet(value: unknown, pointer: string): number {
  if (!isDocument(value) || Object.keys(value).length === 0) {
    throw invalid(pointer, "must be an object of pipelines", "invalid_stage");
  }
  assertAtMost(Object.keys(value).length, stagesMax, "pipelines", pointer);
  return Object.entries(value).reduce((count, [name, inner]) => {
    checkPath(name, under(pointer, name));
    return count + checkPipeline(inner, under(pointer, name), true);
  }, 0);
}

/** Gives the number of stages. */
function checkPipeline(value: unknown, pointer: string, inFacet: boolean): number {
  if (!Array.isArray(value)) throw invalid(pointer, "must be an array of stages", "invalid_type");
  assertAtMost(value.length, stagesMax, "stages", pointer);
  return value.reduce<number>((count, stage, index) => {
    const at = under(pointer, index);
    const [name, ...more] = isDocument(stage) ? Object.keys(stage) : [];
    if (name === undefined || more.length > 0) throw invalid(at, "must be an object with one stage", "invalid_stage");
    const argument: unknown = stage[name];
    if (name === "$facet" && !inFacet) return count + 1 + checkFacet(argument, under(at, name));
    if (!Object.hasOwn(stageChecks, name)) {
      throw invalid(under(at, name), "is not allowed as a stage here", "stage_not_allowed");
    }
    stageChecks[name as keyof typeof stageChecks](argument, under(at, name));
    return count + 1;
  }, 0);
}

/**
 * A tenant's pipeline if it stays with the tenant's own documents, runs no code and ends in time.
 *
 * @throws Failure `invalid_request`, `expression_too_costly`
 */
export function readPipeline(value: unknown, pointer = "#/pipeline"): Document[] {
  const stages = checkPipeline(value, pointer, false);
  assertAtMost(stages, stagesMax, "stages", pointer);
  return guardTargets(affordable(value as Document[], pointer));
}

/** The pipeline, or one that does the same and costs less. @throws Failure `expression_too_costly`, which points into what was sent */
function affordable(pipeline: Document[], pointer: string): Document[] {
  try {
    checkCost(pipeline, pointer);
    return pipeline;
  } catch (error) {
    const bound = bindOuterFields(pipeline);
    if (!bound) throw error;
    try {
      checkCost(bound, pointer);
      return bound;
    } catch {
      throw error;
    }
  }
}

/** An expression sees the whole stored document, so that it has to wait until that is the tenant's own again. */
const hasExpression = (filter: Document): boolean =>
  Object.entries(filter).some(
    ([name, value]) => name === "$expr" || (joiningOperators.has(name) && (value as Document[]).some(hasExpression)),
  );

/** A stage that is the same before and after a document is made the tenant's own: there, indexes serve it. */
function isHoistable(stage: Document): boolean {
  if (isDocument(stage.$match)) return !hasExpression(stage.$match);
  return stage.$sort !== undefined || limits(stage);
}

const limits = (stage: Document): boolean => stage.$limit !== undefined || stage.$skip !== undefined;

/** How many stages at the beginning are hoisted: filters, and what ends with a limit. */
function countHoisted(pipeline: Document[]): number {
  const end = pipeline.findIndex((stage) => !isHoistable(stage));
  const first = end < 0 ? pipeline : pipeline.slice(0, end);
  const other = first.findIndex(({ $match }) => !$match);
  return Math.max(first.findLastIndex(limits) + 1, other < 0 ? first.length : other);
}

function hoist(stage: Document, idPath: IdPath, engine: Engine): Document {
  if (stage.$match) return { $match: placeFilter(stage.$match, idPath, engine) };
  if (!stage.$sort) return stage;
  const entries = Object.entries(stage.$sort).map(([path, direction]) => [placePath(path, idPath), direction]);
  return { $sort: Object.fromEntries(entries) };
}

// FerretDB 2.7 makes one of `$unset` and a `$set` after it, which then sees what was unset. No stage is moved over this one.
const barrier: Document = { $limit: 0x7fffffff };

/**
 * A pipeline that was read, for the collection where the tenant's documents are stored; `own` is the filter that only they
 * match. The filters and limits that it begins with go before all else; what is left runs on exactly the documents that a
 * collection of nothing but them would hold.
 */
export function placePipeline(asked: Document[], own: Document, idPath: IdPath, engine: Engine): Document[] {
  const pipeline = engine === "ferretdb" ? copyTexts(asked) : asked;
  const first = pipeline.slice(0, countHoisted(pipeline));
  const rest = pipeline.slice(first.length);
  const hoisted = first.map((stage) => hoist(stage, idPath, engine));
  const other = hoisted.findIndex(({ $match }) => !$match);
  const filters = (other < 0 ? hoisted : hoisted.slice(0, other)).map(({ $match }) => $match);
  // Sorted once more, as FerretDB's accumulators see an order only when the sort is next to them.
  const sorted = first.findLast(({ $sort }) => $sort);
  return [
    { $match: filters.length > 0 ? { $and: [own, ...filters] } : own },
    ...hoisted.slice(filters.length),
    ...(idPath === "_id" ? [] : [{ $set: { _id: `$${idPath}` } }]),
    { $unset: [...reservedNames] },
    ...(rest.length > 0 ? [barrier, ...(sorted ? [sorted] : []), ...rest] : []),
  ];
}
