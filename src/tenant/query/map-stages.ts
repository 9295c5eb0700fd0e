import type { Document } from "mongodb";
import { joiningOperators } from "./operators.ts";

/** A pipeline with each stage changed, those in the pipelines of a `$facet` too. */
export const mapStages = (pipeline: readonly Document[], change: (stage: Document) => Document): Document[] =>
  pipeline.map((stage) => {
    if (!stage.$facet) return change(stage);
    const branches = Object.entries(stage.$facet as Record<string, Document[]>);
    return { $facet: Object.fromEntries(branches.map(([name, inner]) => [name, mapStages(inner, change)])) };
  });

type Change = (value: unknown) => unknown;

const inFilter = (filter: Document, change: Change): Document =>
  Object.fromEntries(
    Object.entries(filter).map(([name, part]) => {
      if (name === "$expr") return [name, change(part)];
      return [name, joiningOperators.has(name) ? (part as Document[]).map((each) => inFilter(each, change)) : part];
    }),
  );

/** A pipeline with all that may hold expressions changed: of a filter its `$expr`, any other stage as a whole. */
export const mapExpressions = (pipeline: readonly Document[], change: Change): Document[] =>
  mapStages(pipeline, (stage) =>
    stage.$match ? { $match: inFilter(stage.$match, change) } : (change(stage) as Document),
  );
