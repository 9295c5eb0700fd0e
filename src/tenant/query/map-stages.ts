import type { Document } from "mongodb";

/** A pipeline with each stage changed, those in the pipelines of a `$facet` too. */
export const mapStages = (pipeline: readonly Document[], change: (stage: Document) => Document): Document[] =>
  pipeline.map((stage) => {
    if (!stage.$facet) return change(stage);
    const branches = Object.entries(stage.$facet as Record<string, Document[]>);
    return { $facet: Object.fromEntries(branches.map(([name, inner]) => [name, mapStages(inner, change)])) };
  });
