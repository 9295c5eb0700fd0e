import type { Document } from "mongodb";
import { isDocument } from "../../lib/bson.ts";
import { invalid, under } from "../../lib/invalid.ts";
import { reservedNames } from "../document.ts";
import { placeFilter } from "./filter.ts";
import { joiningOperators } from "./operators.ts";
import { checkPath, type IdPath } from "./path.ts";
import { stageChecks } from "./stages.ts";

/** Those inside a `$facet` count too. */
const stagesMax = 50;

function checkFacet(value: unknown, pointer: string): number {
  if (!isDocument(value) || Object.keys(value).length === 0) {
    throw invalid(pointer, "must be an object of pipelines", "invalid_stage");
  }
  return Object.entries(value).reduce((count, [name, inner]) => {
    checkPath(name, under(pointer, name));
    return count + checkPipeline(inner, under(pointer, name), true);
  }, 0);
}

/** Gives the number of stages. */
function checkPipeline(value: unknown, pointer: string, inFacet: boolean): number {
  if (!Array.isArray(value)) throw invalid(pointer, "must be an array of stages", "invalid_type");
  return value.reduce<number>((count, stage, index) => {
    const at = under(pointer, index);
    const [name, ...more] = isDocument(stage) ? Object.keys(stage) : [];
    if (name === undefined || more.length > 0) throw invalid(at, "must be an object with one stage", "invalid_stage");
    const argument: unknown = stage[name];
    if (name === "$facet" && !inFacet) return count + 1 + checkFacet(argument, under(at, name));
    if (!Object.hasOwn(stageChecks, name)) {
      throw invalid(under(at, name), "is no stage that may stand here", "stage_not_allowed");
    }
    stageChecks[name as keyof typeof stageChecks](argument, under(at, name));
    return count + 1;
  }, 0);
}

/** A tenant's pipeline if it stays with the tenant's own documents and runs no code, else throws `invalid_request`. */
export function readPipeline(value: unknown, pointer = "#/pipeline"): Document[] {
  const stages = checkPipeline(value, pointer, false);
  if (stages > stagesMax) throw invalid(pointer, `must have at most ${stagesMax} stages`, "too_many");
  return value as Document[];
}

/** An expression sees the whole stored document, so that it has to wait until that is the tenant's own again. */
const hasExpression = (filter: Document): boolean =>
  Object.entries(filter).some(
    ([name, value]) => name === "$expr" || (joiningOperators.has(name) && (value as Document[]).some(hasExpression)),
  );

/**
 * A pipeline that was read, for the collection where the tenant's documents are stored; `own` is the filter that only they
 * match. The filters that it begins with go before all else, where indexes serve them; what is left runs on exactly the
 * documents that a collection of nothing but them would hold.
 */
export function placePipeline(pipeline: Document[], own: Document, idPath: IdPath): Document[] {
  const at = pipeline.findIndex(({ $match }) => !isDocument($match) || hasExpression($match));
  const leading = pipeline.slice(0, at < 0 ? pipeline.length : at);
  const filters = [own, ...leading.map(({ $match }) => placeFilter($match, idPath))];
  return [
    { $match: filters.length > 1 ? { $and: filters } : own },
    ...(idPath === "_id" ? [] : [{ $set: { _id: `$${idPath}` } }]),
    { $unset: [...reservedNames] },
    ...pipeline.slice(leading.length),
  ];
}
