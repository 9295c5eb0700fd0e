import { BSONRegExp } from "mongodb";
import { isDocument, toNumber } from "../../../lib/bson/bson.ts";
import { under } from "../../../lib/invalid.ts";
import { scalar, tooCostly, type Value, valueOf } from "./cost.ts";
import { constant, type Growth, largest, plus, product, roots, times } from "./growth.ts";
import { checkPattern } from "./pattern.ts";

/** What an operator does with its operands, and what it gives. Those that bind variables or choose are in `expression-cost.ts`. */
type OperatorCost = {
  /**
   * `once`: a fixed amount (it fails for what is no scalar). `compares`: as far as the shorter operand goes. `looks`: through
   * one array. `walks`: through all operands, so many steps for each part. `searches`: for the others in the first, at each
   * place anew. `repeats`: through all of it again at each place.
   */
  works: "once" | "compares" | "looks" | "walks" | "searches" | "repeats";
  steps?: number;
  /**
   * `one`: no more than the largest operand. `all`: no more than all of them; `elements`: as an array with no more elements.
   * `pairs`, `letters`: each part or letter becomes an object or a text. `rows`: as `$zip` has it. `replaced`, `cut`: as `$replaceAll` and
   * `$substrCP` have it.
   */
  gives: "scalar" | "one" | "all" | "elements" | "pairs" | "letters" | "rows" | "replaced" | "cut";
};

const table = new Map<string, OperatorCost>();
const are = (cost: OperatorCost, ...lines: string[]) => {
  for (const name of lines.flatMap((line) => line.split(" "))) table.set(`$${name}`, cost);
};

are(
  { works: "once", gives: "scalar" },
  "abs add ceil divide exp floor ln log log10 mod multiply pow round sqrt subtract trunc bitAnd bitNot bitOr bitXor",
  "and not or isArray isNumber type toBool dateAdd dateDiff dateFromParts dateSubtract dateToParts dateTrunc dayOfMonth",
  "dayOfWeek dayOfYear hour isoDayOfWeek isoWeek isoWeekYear millisecond minute month second week year tsIncrement tsSecond",
  "sin cos tan asin acos atan atan2 asinh acosh atanh sinh cosh tanh degreesToRadians radiansToDegrees",
);
are({ works: "compares", gives: "scalar" }, "cmp eq gt gte lt lte ne");
are({ works: "compares", gives: "one" }, "max min");
are({ works: "looks", gives: "scalar" }, "in indexOfArray");
are(
  { works: "walks", gives: "scalar" },
  "size sum avg stdDevPop stdDevSamp allElementsTrue anyElementTrue binarySize bsonSize strLenBytes strLenCP",
  "strcasecmp dateFromString toDate toDecimal toDouble toInt toLong toObjectId toUUID",
);
are({ works: "walks", steps: 5, gives: "scalar" }, "setEquals setIsSubset median");
are({ works: "walks", gives: "one" }, "arrayElemAt first last getField setField unsetField");
are({ works: "walks", gives: "all" }, "toLower toUpper toString convert dateToString concat");
are({ works: "walks", gives: "cut" }, "substr substrBytes substrCP");
are({ works: "walks", steps: 2, gives: "all" }, "mergeObjects");
are({ works: "walks", gives: "elements" }, "concatArrays firstN lastN reverseArray slice");
are(
  { works: "walks", steps: 5, gives: "elements" },
  "setDifference setIntersection setUnion sortArray maxN minN percentile",
);
are({ works: "walks", steps: 5, gives: "all" }, "arrayToObject");
are({ works: "walks", steps: 2, gives: "pairs" }, "objectToArray");
are({ works: "walks", steps: 2, gives: "rows" }, "zip");
are({ works: "searches", gives: "scalar" }, "indexOfBytes indexOfCP regexMatch");
are({ works: "searches", gives: "all" }, "ltrim rtrim trim regexFind");
are({ works: "searches", gives: "letters" }, "split");
are({ works: "searches", gives: "replaced" }, "replaceOne");
// FerretDB moves the rest of the text for each part that it replaces.
are({ works: "repeats", steps: 0.01, gives: "replaced" }, "replaceAll");
are({ works: "repeats", steps: 0.15, gives: "letters" }, "regexFindAll");

/** An operator that isn't there costs too much everywhere: the list has to say what a new one does. */
const costOf = (name: string): OperatorCost => table.get(name) ?? { works: "repeats", gives: "letters" };

/** From the outside in; a loop's result before its element. */
const rankOf = (root: string): number =>
  root === "doc" ? 1_000 : 999 - parseInt(root) + Number(root.endsWith("value")) / 2;

/** Two texts or values are compared as far as the shorter one goes: the one that grows most doesn't count. */
function compared(sizes: Growth[]): Growth {
  if (sizes.length === 1) return sizes[0]!;
  const ranks = sizes.map((size) => Math.max(0, ...[...roots(size)].map(rankOf)));
  const most = ranks.indexOf(Math.max(...ranks));
  return plus(...sizes.filter((_, index) => index !== most));
}

/** Of a letter there are up to four bytes. */
function cut(value: unknown, sum: Growth): Growth {
  const length = Array.isArray(value) ? toNumber(value[2]) : NaN;
  return length >= 0 ? constant(1 + length / 4) : sum;
}

/** Each row has a place for each array. */
function rows(value: unknown, sum: Growth, pointer: string): Growth {
  const inputs: unknown = isDocument(value) ? value.inputs : undefined;
  if (!Array.isArray(inputs)) throw tooCostly(pointer, "must list its inputs as an array", "write them out");
  return times(sum, inputs.length);
}

/** How many times as long the search for a pattern takes. */
function weighPattern(value: unknown, pointer: string): number {
  const pattern: unknown = isDocument(value) ? value.regex : undefined;
  const options: unknown = isDocument(value) ? (value.options ?? "") : "";
  const isText = (part: unknown): part is string => typeof part === "string" && !part.startsWith("$");
  if (!(pattern instanceof BSONRegExp || isText(pattern)) || !isText(options))
    throw tooCostly(pointer, "has a computed pattern", "write it as a literal");
  return checkPattern(pattern, under(pointer, "regex"), options);
}

/** @param operands what `value` holds, in its order. @throws Failure `expression_too_costly` */
export function operate(
  name: string,
  value: unknown,
  operands: Value[],
  pointer: string,
): { work: Growth; made: Value } {
  const { works, steps = 1, gives } = costOf(name);
  const weight = name.startsWith("$regex") ? weighPattern(value, pointer) : 1;
  const sizes = operands.map(({ size }) => size);
  const sum = plus(...sizes);
  // Named ones have no order.
  const first = isDocument(value) ? Math.max(0, Object.keys(value).indexOf("input")) : 0;
  const subject = sizes[first] ?? constant(1);
  const others = plus(constant(1), ...sizes.filter((_, index) => index !== first));
  const search = (text: Growth, sought: Growth): Growth => {
    const all = product(text, sought);
    const instead = "one of them has to be short: use a literal, or cut it with $substrCP";
    if (!all) throw tooCostly(pointer, "searches for a long text within a long text", instead);
    return all;
  };
  const work = {
    once: () => constant(0),
    compares: () => compared(sizes),
    looks: () => (name === "$in" ? (sizes[1] ?? constant(1)) : subject),
    walks: () => times(sum, steps),
    searches: () => times(search(subject, others), weight),
    repeats: () => times(search(sum, sum), steps * weight),
  };
  const made = {
    scalar: () => scalar,
    one: () => valueOf(largest(...sizes)),
    all: () => valueOf(sum),
    elements: () => valueOf(sum, plus(...operands.map(({ count }) => count))),
    pairs: () => valueOf(times(sum, 2)),
    letters: () => valueOf(times(sum, 16)),
    rows: () => valueOf(rows(value, sum, pointer)),
    replaced: () => valueOf(search(subject, others)),
    cut: () => valueOf(cut(value, sum)),
  };
  return { work: work[works](), made: made[gives]() };
}
