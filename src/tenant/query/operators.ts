// What a tenant's query may use. Whatever is in none of these tables is refused: what runs code ($where, $function,
// $accumulator), what reads or writes another place ($lookup, $unionWith, $graphLookup, $out, $merge), what shows the
// server or its indexes ($collStats, $indexStats, $meta), and what a later version of MongoDB brings.

/** Operators on a field in a filter, and what each takes. */
export const filterOperators = {
  $eq: "value",
  $ne: "comparable",
  $gt: "comparable",
  $gte: "comparable",
  $lt: "comparable",
  $lte: "comparable",
  $in: "values",
  $nin: "values",
  $all: "all",
  $exists: "flag",
  $type: "types",
  $not: "condition",
  $elemMatch: "element",
  $size: "count",
  $mod: "division",
  $regex: "pattern",
  $options: "options",
  $bitsAllSet: "bits",
  $bitsAllClear: "bits",
  $bitsAnySet: "bits",
  $bitsAnyClear: "bits",
} as const;
export type OperandKind = (typeof filterOperators)[keyof typeof filterOperators];

/** Operators that join filters. */
export const joiningOperators: ReadonlySet<string> = new Set(["$and", "$or", "$nor"]);

/** Names of BSON types, as `$type` takes them; their numbers are -1, 1 to 19 and 127. */
export const typeNames: ReadonlySet<unknown> = new Set(
  (
    "number double string object array binData undefined objectId bool date null regex dbPointer javascript symbol " +
    "javascriptWithScope int timestamp long decimal minKey maxKey"
  ).split(" "),
);

const names = (...lines: string[]): ReadonlySet<string> =>
  new Set(lines.flatMap((line) => line.split(" ").map((name) => `$${name}`)));

/** Operators in an expression of a pipeline. `$literal`, `$let`, `$map`, `$filter` and `$reduce` are known to `expression.ts`. */
export const expressionOperators = names(
  "abs add ceil divide exp floor ln log log10 mod multiply pow round sqrt subtract trunc",
  "arrayElemAt arrayToObject concatArrays filter first firstN in indexOfArray isArray last lastN map maxN minN",
  "objectToArray range reduce reverseArray size slice sortArray zip",
  "bitAnd bitNot bitOr bitXor and not or cmp eq gt gte lt lte ne cond ifNull switch binarySize bsonSize",
  "dateAdd dateDiff dateFromParts dateFromString dateSubtract dateToParts dateToString dateTrunc dayOfMonth dayOfWeek",
  "dayOfYear hour isoDayOfWeek isoWeek isoWeekYear millisecond minute month second week year toDate tsIncrement tsSecond",
  "literal let getField mergeObjects setField unsetField",
  "allElementsTrue anyElementTrue setDifference setEquals setIntersection setIsSubset setUnion",
  "concat indexOfBytes indexOfCP ltrim regexFind regexFindAll regexMatch replaceAll replaceOne rtrim split strLenBytes",
  "strLenCP strcasecmp substr substrBytes substrCP toLower toUpper trim",
  "sin cos tan asin acos atan atan2 asinh acosh atanh sinh cosh tanh degreesToRadians radiansToDegrees",
  "convert isNumber toBool toDecimal toDouble toInt toLong toObjectId toString toUUID type",
  "avg max median min percentile stdDevPop stdDevSamp sum",
);

/** Accumulators of `$group`, `$bucket` and `$bucketAuto`. */
export const accumulators = names(
  "addToSet avg bottom bottomN count first firstN last lastN max maxN median mergeObjects min minN percentile push",
  "stdDevPop stdDevSamp sum top topN",
);

/** Operators of `$setWindowFields`. */
export const windowOperators: ReadonlySet<string> = new Set([
  ...accumulators,
  ...names("covariancePop covarianceSamp denseRank derivative documentNumber expMovingAvg integral linearFill locf"),
  ...names("rank shift"),
]);

/** Variables that are always there; `$$this` and `$$value` only where something binds them. */
export const systemVariables: ReadonlySet<string> = new Set(["ROOT", "CURRENT", "REMOVE", "NOW"]);

/** Stages of a pipeline; what each takes is in `stages.ts`. */
const aggregationStages = [
  "$addFields",
  "$bucket",
  "$bucketAuto",
  "$count",
  "$densify",
  "$facet",
  "$fill",
  "$group",
  "$limit",
  "$match",
  "$project",
  "$replaceRoot",
  "$replaceWith",
  "$sample",
  "$set",
  "$setWindowFields",
  "$skip",
  "$sort",
  "$sortByCount",
  "$unset",
  "$unwind",
] as const;
export type AggregationStage = (typeof aggregationStages)[number];
