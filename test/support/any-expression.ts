import fc from "fast-check";

/** Names of the document that `largeDocument` makes: arrays of numbers, texts, objects and arrays, and what isn't there. */
const documentPath = fc.constantFrom(
  "$n",
  "$s",
  "$o",
  "$l",
  "$o.p",
  "$o.t",
  "$k",
  "$text",
  "$missing",
  "$$ROOT",
  "$n.x",
);
const literal = fc.oneof(
  fc.integer({ min: -3, max: 40 }),
  fc.constantFrom("a", "b1", "", true, null, [1, 2, 3], ["a", "b"], [], { x: 1 }),
);

type Arbitrary = fc.Arbitrary<unknown>;
const lists = (names: string[], of: Arbitrary, min: number, max: number) =>
  fc
    .tuple(fc.constantFrom(...names), fc.array(of, { minLength: min, maxLength: max }))
    .map(([name, all]) => ({ [name]: all }));

/** Whether an error is met depends on the values: mostly there is none, so that the work is done. */
const arrayOr = (value: unknown) => ({ $cond: [{ $isArray: [value] }, value, ["a", 1]] });
const textOr = (value: unknown) => ({ $convert: { input: value, to: "string", onError: "none", onNull: "null" } });
const numberOr = (value: unknown) => ({ $convert: { input: value, to: "double", onError: 7, onNull: 0 } });

/** An expression of every form that there is; most of those that cost too much are among them, and have to be refused. */
function expressionOf(leaf: Arbitrary, depth: number): Arbitrary {
  if (depth === 0) return fc.oneof({ weight: 4, arbitrary: leaf }, { weight: 1, arbitrary: literal });
  const inner = expressionOf(leaf, depth - 1);
  const within = (...names: string[]) =>
    expressionOf(
      fc.oneof({ weight: 4, arbitrary: fc.constantFrom(...names) }, { weight: 1, arbitrary: leaf }),
      depth - 1,
    );
  const array = fc
    .oneof(
      { weight: 4, arbitrary: fc.constantFrom("$n", "$s", "$o", "$l") },
      { weight: 2, arbitrary: leaf },
      { weight: 1, arbitrary: inner },
    )
    .map(arrayOr);
  const element = within("$$x", "$$x.p", "$$x.t", "$$x.q");
  /** What a loop may do with a value from outside. */
  const outside = fc.constantFrom("$eq", "$gt", "$cmp", "$ifNull", "$and", "$max");
  const text = fc.oneof(inner, fc.constant("$text")).map(textOr);
  return fc.oneof(
    { weight: 2, arbitrary: leaf },
    lists(["$eq", "$gt", "$lte", "$cmp", "$and", "$or", "$ifNull", "$max", "$min"], inner, 2, 2),
    lists(["$add", "$multiply", "$subtract"], inner.map(numberOr), 2, 2),
    lists(["$concat"], text, 1, 3),
    lists(["$concatArrays", "$setUnion", "$setIntersection", "$setDifference"], array, 2, 2),
    lists(["$mergeObjects"], fc.constantFrom("$$ROOT", { a: 1 }, "$missing"), 1, 3),
    fc
      .tuple(fc.constantFrom("$size", "$first", "$last", "$reverseArray", "$sum", "$avg", "$max", "$min"), array)
      .map(([name, each]) => ({ [name]: each })),
    fc.tuple(fc.constantFrom("$strLenCP", "$toLower", "$toUpper"), text).map(([name, each]) => ({ [name]: each })),
    fc.tuple(fc.constantFrom("$in", "$in"), inner, array).map(([name, one, all]) => ({ [name]: [one, all] })),
    fc.tuple(array, inner).map(([all, one]) => ({ $indexOfArray: [all, one] })),
    fc.tuple(array, fc.integer({ min: -5, max: 5 })).map(([all, at]) => ({ $arrayElemAt: [all, at] })),
    fc.tuple(array, fc.constantFrom(1, -1)).map(([input, sortBy]) => ({ $sortArray: { input, sortBy } })),
    fc.tuple(array, array).map((inputs) => ({ $zip: { inputs } })),
    fc.tuple(text, fc.constantFrom(" ", "a", "b ")).map(([each, by]) => ({ $split: [each, by] })),
    fc
      .tuple(text, fc.constantFrom("a", "b"))
      .map(([input, find]) => ({ $replaceOne: { input, find, replacement: "xy" } })),
    fc
      .tuple(text, fc.constantFrom("a", "b"))
      .map(([input, find]) => ({ $replaceAll: { input: { $substrCP: [input, 0, 900] }, find, replacement: "xy" } })),
    fc
      .tuple(text, fc.constantFrom("a", "^b", "b$", "x1|y"))
      .map(([input, regex]) => ({ $regexMatch: { input, regex } })),
    fc.constantFrom("$n", "$s", "$o", "$l").map((path) => ({ $range: [0, { $size: path }] })),
    fc.integer({ min: 0, max: 300 }).map((end) => ({ $range: [0, end] })),
    fc.tuple(inner, inner, inner).map((all) => ({ $cond: all })),
    inner.map((value) => ({ n: value, m: [value] })),
    fc.tuple(inner, within("$$v", "$$v.p")).map(([v, body]) => ({ $let: { vars: { v }, in: body } })),
    { weight: 4, arbitrary: fc.tuple(array, element).map(([input, body]) => ({ $map: { input, as: "x", in: body } })) },
    { weight: 3, arbitrary: fc.tuple(array, element).map(([input, cond]) => ({ $filter: { input, as: "x", cond } })) },
    {
      weight: 3,
      arbitrary: fc
        .tuple(array, outside, fc.constantFrom("$$x", "$$x.p", "$$x.t"), documentPath)
        .map(([input, operator, one, other]) => ({ $map: { input, as: "x", in: { [operator]: [one, other] } } })),
    },
    {
      weight: 3,
      arbitrary: fc
        .tuple(array, within("$$value", "$$this", "$$this.p"), fc.constantFrom(0, "", null))
        .map(([input, body, initialValue]) => ({ $reduce: { input, initialValue, in: body } })),
    },
  );
}
export const anyExpression = expressionOf(documentPath, 3);

/** `length` elements in all, so that whatever runs through an array once for each of its elements doesn't end. */
export const largeDocument = (length: number) => {
  const each = <T>(make: (n: number) => T) => Array.from({ length }, (_, n) => make(n));
  return {
    _id: "large",
    n: each((n) => n),
    s: each((n) => `b${n % 1_000}`),
    o: each((n) => ({ p: n, q: [n % 7, n % 5], t: `t${n % 100}` })),
    l: each((n) => [n, n + 1]),
    k: 7,
    text: "ab b1 ".repeat(length / 6),
  };
};
