import fc from "fast-check";
import { BSONRegExp, Decimal128, Double, Int32 } from "mongodb";
import { anyId, anyScalar, anyValue, withoutExtremes } from "./bson-values.ts";

const path = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom("a", "b", "c", "_id") },
  {
    weight: 4,
    arbitrary: fc.constantFrom(
      "a.b",
      "a.0",
      "a.a.b",
      "b.tenant_id",
      "b._id",
      "c.t",
      "a.0.b",
      "missing",
      "_i",
      "b._croupier",
    ),
  },
);
/** Names that would show what a stored document has beside the tenant's fields, and words that are no operators here. */
const wildPath = fc.constantFrom(
  "tenant_id",
  "tenant_id.0",
  "_croupier",
  "_croupier.v",
  "_croupier.h.0",
  "_id.t",
  "_id.i",
  "_id.i.x",
  "_id.0",
  "",
  "a.",
  "$where",
  "$expr",
  "$text",
  "$jsonSchema",
  "$comment",
  "$function",
  "a.$",
  "$ROOT",
  "$nor ",
);
const idOrValue = fc.oneof(
  anyId,
  anyScalar,
  anyValue,
  fc.constantFrom({ t: "65f000000000000000000001", i: new Int32(1) }, "65f000000000000000000001"),
);
const pattern = fc.constantFrom(
  new BSONRegExp("a", "i"),
  new BSONRegExp("^a", ""),
  new BSONRegExp("", ""),
  new BSONRegExp(".", "s"),
  new BSONRegExp("65f0", ""),
);
const typeName = fc.constantFrom<unknown>(
  "object",
  "string",
  "number",
  "int",
  "double",
  "long",
  "decimal",
  "array",
  "null",
  "bool",
  "objectId",
  "date",
  "binData",
  "missing",
  new Int32(3),
  new Int32(16),
  new Int32(-1),
  ["string", new Double(2)],
);

const operator = (inner: fc.Arbitrary<unknown>): fc.Arbitrary<Record<string, unknown>> =>
  fc.oneof(
    {
      weight: 6,
      arbitrary: fc
        .tuple(fc.constantFrom("$eq", "$ne", "$gt", "$gte", "$lt", "$lte"), idOrValue)
        .map(([name, value]) => ({ [name]: value })),
    },
    fc
      .tuple(fc.constantFrom("$in", "$nin", "$all"), fc.array(fc.oneof(idOrValue, pattern), { maxLength: 3 }))
      .map(([name, value]) => ({ [name]: value })),
    fc.boolean().map(($exists) => ({ $exists })),
    typeName.map(($type) => ({ $type })),
    fc.oneof(pattern, inner).map(($not) => ({ $not })),
    inner.map(($elemMatch) => ({ $elemMatch })),
    fc.tuple(path, idOrValue).map(([name, value]) => ({ $elemMatch: { [name]: value } })),
    fc.integer({ min: 0, max: 3 }).map(($size) => ({ $size: new Int32($size) })),
    fc.constantFrom([2, 0], [3, 1], [-2, -1]).map((pair) => ({ $mod: pair.map((n) => new Int32(n)) })),
    fc.constantFrom("a", "^", "b$", "(", "[").map(($regex) => ({ $regex, $options: "i" })),
    fc
      .tuple(fc.constantFrom("$bitsAllSet", "$bitsAnyClear"), fc.constantFrom(1, 2))
      .map(([name, bits]) => ({ [name]: new Int32(bits) })),
  );
const simple = operator(idOrValue.map(($gt) => ({ $gt })));
const condition = fc.oneof(
  idOrValue,
  pattern,
  simple,
  operator(simple),
  fc.tuple(simple, simple).map(([one, other]) => ({ ...one, ...other })),
);

const fields = (name: fc.Arbitrary<string>, maxLength: number) =>
  fc.array(fc.tuple(name, condition), { maxLength }).map((entries) => Object.fromEntries(entries));
const join = (inner: fc.Arbitrary<unknown>) =>
  fc.oneof(
    { weight: 3, arbitrary: fields(path, 2) },
    {
      weight: 1,
      arbitrary: fc
        .tuple(fc.constantFrom("$and", "$or", "$nor"), fc.array(inner, { minLength: 1, maxLength: 3 }), fields(path, 1))
        .map(([name, parts, beside]) => ({ ...beside, [name]: parts })),
    },
  );
export const anyFilter = join(join(fields(path, 2)));
/** May well be refused. */
export const wildFilter = join(
  fc.oneof(
    fields(wildPath, 1),
    fields(path, 1),
    fc.tuple(wildPath, fields(wildPath, 1)).map(([name, value]) => ({ [name]: value })),
  ),
);

const sortPath = fc.constantFrom("a", "b", "c", "a.b", "b.a.b", "missing", "_id");
export const anySort = fc
  .uniqueArray(fc.tuple(sortPath, fc.constantFrom("", "-")), { maxLength: 3, selector: ([name]) => name })
  .map((parts) => parts.map(([name, minus]) => minus + name).join(","));

export const anyProjection = fc
  .tuple(
    fc.constantFrom(0, 1, true, false),
    fc.uniqueArray(
      fc.constantFrom(
        "a",
        "b",
        "c.t",
        "c.i",
        "a.b",
        "b.a",
        "b.tenant_id",
        "d",
        "a.a.b",
        "tenant_id",
        "_id.t",
        "_croupier.v",
      ),
      { maxLength: 3 },
    ),
    fc.constantFrom(undefined, 0, 1, false),
  )
  .map(([flag, paths, id]) => ({
    ...Object.fromEntries(paths.map((each) => [each, flag])),
    ...(id !== undefined && { _id: id }),
  }));

const fieldPath = fc.constantFrom(
  "$a",
  "$b",
  "$c",
  "$_id",
  "$a.b",
  "$b.tenant_id",
  "$$ROOT",
  "$$ROOT._id",
  "$$CURRENT.a",
  "$tenant_id",
  "$_croupier.v",
  "$_croupier",
  "$_id.t",
  "$_id.i",
  "$$ROOT.tenant_id",
);
// FerretDB can't say whether a large decimal is true, and asks that of a constant even when there is no document.
const literal = idOrValue
  .filter((value) => !(value instanceof Decimal128))
  .map((value) => ({ $literal: withoutExtremes(value) }));
// Whether an error is met depends on how far the server gets, so that there are none: an object where one is needed.
const isA = (type: string, value: unknown) => ({ $eq: [{ $type: [value] }, type] });
const objectOr = (value: unknown) => ({ $cond: [isA("object", value), value, {}] });
const arrayOr = (value: unknown) => ({ $cond: [isA("array", value), value, []] });
const textOr = (value: unknown) => ({ $convert: { input: value, to: "string", onError: "none", onNull: "null" } });
const call = (arg: fc.Arbitrary<unknown>) =>
  fc.oneof(
    fc
      .tuple(fc.constantFrom("$eq", "$gt", "$lte", "$cmp", "$ifNull", "$and", "$or"), fc.tuple(arg, arg))
      .map(([name, args]) => ({ [name]: args })),
    fc
      .tuple(fc.constantFrom("$type", "$isArray", "$isNumber", "$max", "$sum"), arg)
      .map(([name, each]) => ({ [name]: [each] })),
    fc.tuple(fc.constantFrom("$bsonSize", "$objectToArray"), arg).map(([name, each]) => ({ [name]: objectOr(each) })),
    arg.map(textOr),
    fc.tuple(arg, arg, arg).map((args) => ({ $cond: args })),
    arg.map((input) => ({ $getField: { field: "tenant_id", input: objectOr(input) } })),
    arg.map((input) => ({ $map: { input: arrayOr(input), as: "x", in: ["$$x", "$$x._id"] } })),
    arg.map((value) => ({ $setField: { field: "x", input: "$$ROOT", value } })),
    arg.map((value) => ({ $mergeObjects: ["$$ROOT", { n: value }] })),
    arg.map((value) => ({ n: value, m: [value, "$$REMOVE"] })),
  );
const expression = fc.oneof(fieldPath, literal, call(fc.oneof(fieldPath, literal, call(fieldPath))));

// Not those that are taken away below: MongoDB may put a field that is set again where it had been, or at the end.
const newField = fc.oneof(
  fc.tuple(fc.constantFrom("n", "m"), expression),
  // What is computed fails where there is an array on the way.
  fc.tuple(fc.constantFrom("b.tenant_id", "b._croupier", "b.n"), literal),
  fc.tuple(fc.constantFrom("q.tenant_id", "q._croupier.v"), expression),
);
const stage: fc.Arbitrary<Record<string, unknown>> = fc.oneof(
  anyFilter.map(($match) => ({ $match })),
  expression.map((value) => ({ $match: { $expr: { $gt: [value, null] } } })),
  newField.map(([name, value]) => ({ $set: { [name]: value } })),
  fc
    .tuple(fc.constantFrom("a", "b.a", "c", "_id"), fc.constantFrom(0, 1))
    .map(([name, flag]) => ({ $project: { [name]: flag } })),
  newField.map(([name, value]) => ({ $project: { [name]: value, c: 1 } })),
  fc.constantFrom("a", "b.a", "c", "_id").map(($unset) => ({ $unset })),
  fc.constantFrom("$a", "$b", "$a.b").map((each) => ({ $unwind: { path: each, preserveNullAndEmptyArrays: true } })),
  expression.map((value) => ({ $replaceWith: { v: value, _id: "$_id" } })),
  fc.integer({ min: 1, max: 5 }).map((n) => ({ $limit: new Int32(n) })),
  fc.integer({ min: 0, max: 3 }).map((n) => ({ $skip: new Int32(n) })),
);
const last = (accumulators: string[]): fc.Arbitrary<Record<string, unknown>> =>
  fc.oneof(
    fc.tuple(expression, expression, fc.constantFrom(...accumulators)).map(([_id, value, name]) => ({
      $group: {
        _id,
        n: { [name]: name === "$count" ? {} : name === "$mergeObjects" ? objectOr(value) : value },
        all: { $sum: 1 },
      },
    })),
    expression.map(($sortByCount) => ({ $sortByCount })),
    fc.constant({ $count: "n" }),
    fc
      .tuple(fc.array(stage, { maxLength: 2 }), anyFilter)
      .map(([inner, $match]) => ({ $facet: { a: inner, b: [{ $match }, { $count: "n" }] } })),
    expression.map((value) => ({
      $setWindowFields: {
        partitionBy: textOr(value),
        sortBy: { _id: 1 },
        output: { r: { $rank: {} }, n: { $push: "$a", window: { documents: [-1, 0] } } },
      },
    })),
    fc.tuple(expression).map(([groupBy]) => ({ $bucketAuto: { groupBy, buckets: new Int32(2) } })),
  );

/**
 * Deterministic: what depends on an order comes after a sort, and what loses it comes last. FerretDB's accumulators know no
 * order when a stage is between the sort and them, in a plain collection either.
 */
export const anyPipeline = (engine: "mongodb" | "ferretdb") =>
  fc
    .tuple(
      fc.array(fc.oneof({ weight: 5, arbitrary: anyFilter }, { weight: 1, arbitrary: wildFilter }), { maxLength: 2 }),
      fc.array(stage, { maxLength: 4 }),
      fc.option(
        last(
          engine === "mongodb"
            ? ["$sum", "$push", "$first", "$max", "$mergeObjects", "$last"]
            : ["$max", "$min", "$count"],
        ),
      ),
    )
    .map(([filters, stages, end]) => [
      ...filters.map(($match) => ({ $match })),
      { $sort: { _id: 1 } },
      ...stages,
      ...(end ? [end] : []),
    ]);
