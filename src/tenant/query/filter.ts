import { Binary, BSONRegExp, type Document } from "mongodb";
import { isDocument, isInteger, isNumeric, toNumber } from "../../lib/bson/bson.ts";
import { invalid, under } from "../../lib/invalid.ts";
import { tooCostly, walksMax } from "./cost/cost.ts";
import { filterOperators, joiningOperators, type OperandKind, typeNames } from "./operators.ts";
import { checkOwnPath, checkPath, countNumbers } from "./path.ts";
import { checkPattern, weightOfLength } from "./cost/pattern.ts";

export { placeFilter } from "./place-filter.ts";

/** What differs for a `$match` of a pipeline: it may go beneath an `_id` that a `$group` made, and may hold `$expr`. */
export type FilterScope = { beneathId: "allowed"; checkExpression: (value: unknown, pointer: string) => void };

type Check = (value: unknown, pointer: string) => void;

/** Positions that one `$bits…` names: in a binary value each is looked at. */
const bitsMax = 64;
/** As many conditions take about as long. */
const bitsWeight = 5;

const refuse = (pointer: string, message: string, code = "invalid_operand") => invalid(pointer, message, code);
const kindOf = (name: string): OperandKind | undefined =>
  Object.hasOwn(filterOperators, name) ? filterOperators[name as keyof typeof filterOperators] : undefined;
const notAllowed = (pointer: string) => invalid(pointer, "is not allowed as an operator here", "operator_not_allowed");

/** A value that is compared as it is. No stored document has names with `$`, so that one is an operator out of place. */
function checkLiteral(value: unknown, pointer: string): void {
  if (value instanceof BSONRegExp) checkPattern(value, pointer);
  if (Array.isArray(value)) value.forEach((part, index) => checkLiteral(part, under(pointer, index)));
  if (!isDocument(value)) return;
  for (const [name, part] of Object.entries(value)) {
    if (name.startsWith("$")) throw notAllowed(under(pointer, name));
    checkLiteral(part, under(pointer, name));
  }
}

function checkList(value: unknown, pointer: string, lowest: number, check: Check): asserts value is unknown[] {
  if (!Array.isArray(value)) throw refuse(pointer, "must be an array");
  if (value.length < lowest) throw refuse(pointer, "must not be empty");
  value.forEach((part, index) => check(part, under(pointer, index)));
}

const isType = (value: unknown): boolean => {
  const number = toNumber(value);
  return typeNames.has(value) || number === -1 || number === 127 || (isInteger(value, 1) && number <= 19);
};
const isTruncatedTo = (value: unknown, fits: (number: number) => boolean) =>
  Number.isFinite(toNumber(value)) && fits(Math.trunc(toNumber(value)));
const isElementMatch = (value: unknown) => isDocument(value) && Object.hasOwn(value, "$elemMatch");

const operands: Record<OperandKind, Check> = {
  value: checkLiteral,
  comparable(value, pointer) {
    if (value instanceof BSONRegExp) throw refuse(pointer, "can't be a regular expression");
    checkLiteral(value, pointer);
  },
  values: (value, pointer) => checkList(value, pointer, 0, checkLiteral),
  all(value, pointer) {
    const elements = Array.isArray(value) && value.length > 0 && value.every(isElementMatch);
    checkList(value, pointer, 0, elements ? checkCondition : checkLiteral);
  },
  flag(value, pointer) {
    if (typeof value !== "boolean" && Number.isNaN(toNumber(value))) throw refuse(pointer, "must be true or false");
  },
  types(value, pointer) {
    const check: Check = (type, at) => {
      if (!isType(type)) throw refuse(at, "is not a BSON type");
    };
    if (Array.isArray(value)) checkList(value, pointer, 1, check);
    else check(value, pointer);
  },
  condition(value, pointer) {
    if (value instanceof BSONRegExp) return checkPattern(value, pointer);
    if (!isDocument(value) || !Object.keys(value).some((name) => name.startsWith("$"))) {
      throw refuse(pointer, "must be a regular expression or an object of operators");
    }
    checkCondition(value, pointer);
  },
  element(value, pointer) {
    if (!isDocument(value)) throw refuse(pointer, "must be an object");
    const names = Object.keys(value);
    if (names.length > 0 && names.every((name) => kindOf(name) !== undefined)) checkCondition(value, pointer);
    else checkQuery(value, pointer, checkPath);
  },
  count(value, pointer) {
    if (!isInteger(value, 0)) throw refuse(pointer, "must be a whole number, 0 or greater");
  },
  division(value, pointer) {
    const [divisor, remainder] = Array.isArray(value) && value.length === 2 ? value : [];
    if (!isTruncatedTo(divisor, (number) => number !== 0) || !isTruncatedTo(remainder, () => true)) {
      throw refuse(pointer, "must be [divisor, remainder] with a divisor other than 0");
    }
  },
  pattern(value, pointer) {
    if (!(value instanceof BSONRegExp) && (typeof value !== "string" || value.includes("\0"))) {
      throw refuse(pointer, "must be a regular expression");
    }
    checkPattern(value, pointer);
  },
  options(value, pointer) {
    if (typeof value !== "string" || !/^[imsux]*$/.test(value))
      throw refuse(pointer, "may only contain i, m, s, u and x");
  },
  bits(value, pointer) {
    if (!Array.isArray(value) && isInteger(value, 0)) return;
    const bits = value instanceof Binary ? value.length() * 8 : Array.isArray(value) ? value.length : 0;
    if (bits > bitsMax) throw refuse(pointer, `must name at most ${bitsMax} bits`, "too_many");
    if (value instanceof Binary) return;
    checkList(value, pointer, 0, (bit, at) => {
      if (!isNumeric(bit) || !isInteger(bit, 0)) throw refuse(at, "must be a whole number, 0 or greater");
    });
  },
};

/** What stands at a field: operators, all of them known, or a value. */
function checkCondition(value: unknown, pointer: string): void {
  if (!isDocument(value) || !Object.keys(value).some((name) => name.startsWith("$"))) {
    checkLiteral(value, pointer);
    return;
  }
  for (const [name, operand] of Object.entries(value)) {
    const kind = kindOf(name);
    if (!kind) throw notAllowed(under(pointer, name));
    operands[kind](operand, under(pointer, name));
  }
  const { $options: options, $regex: pattern } = value;
  if (options === undefined) return;
  if (pattern === undefined) throw refuse(under(pointer, "$options"), "needs $regex beside it");
  if (pattern instanceof BSONRegExp && pattern.options)
    throw refuse(under(pointer, "$options"), "is already in the $regex");
  checkPattern(pattern as string | BSONRegExp, under(pointer, "$regex"), options);
}

function checkQuery(query: unknown, pointer: string, check: typeof checkPath, scope?: FilterScope): void {
  if (!isDocument(query)) throw invalid(pointer, "must be an object", "invalid_type");
  for (const [name, value] of Object.entries(query)) {
    const at = under(pointer, name);
    if (joiningOperators.has(name)) {
      checkList(value, at, 1, (part, where) => checkQuery(part, where, check, scope));
    } else if (name === "$expr" && scope) {
      scope.checkExpression(value, at);
    } else {
      if (name.startsWith("$")) throw notAllowed(at);
      check(name, at);
      checkCondition(value, at);
    }
  }
}

const isPattern = (value: unknown): value is BSONRegExp => value instanceof BSONRegExp;
const further: ReadonlySet<string> = new Set([...joiningOperators, "$elemMatch", "$not"]);

/** Each is looked at letter by letter: so these are counted before. */
function countPatterns(value: unknown): number {
  if (value instanceof BSONRegExp) return countPatterns({ $regex: value.pattern });
  if (Array.isArray(value)) return value.reduce<number>((sum, part) => sum + countPatterns(part), 0);
  if (!isDocument(value)) return 0;
  return Object.entries(value).reduce(
    (sum, [name, part]) =>
      sum + (name === "$regex" && typeof part === "string" ? weightOfLength(part) : countPatterns(part)),
    0,
  );
}

/** How many conditions a filter that was checked has: each may go through the same array, or do so as often as others. */
export function countConditions(query: unknown): number {
  if (Array.isArray(query)) return query.reduce<number>((sum, part) => sum + countConditions(part), 0);
  if (isPattern(query)) return checkPattern(query, "");
  if (!isDocument(query)) return 1;
  return Object.entries(query).reduce((sum, [name, part]) => {
    if (name === "$expr") return sum;
    if (name === "$all") {
      return (part as unknown[]).reduce<number>(
        (all, one) => all + (isElementMatch(one) || isPattern(one) ? countConditions(one) : 1),
        sum,
      );
    }
    if (name === "$regex") return sum + checkPattern(part as string | BSONRegExp, "", query.$options);
    if (name.startsWith("$bits")) return sum + bitsWeight;
    if (name === "$in" || name === "$nin") return sum + 1 + countConditions((part as unknown[]).filter(isPattern));
    const isCondition = isPattern(part) || (isDocument(part) && Object.keys(part).some((each) => each.startsWith("$")));
    const conditions = further.has(name) || (!name.startsWith("$") && isCondition) ? countConditions(part) : 1;
    return sum + conditions * (name.startsWith("$") ? 1 : 2 ** countNumbers(name));
  }, 0);
}

/** A tenant's filter if it is one that may be asked, else throws `invalid_request`, `expression_too_costly`. No filter is the empty one. */
export function readFilter(value: unknown, pointer = "#/filter", scope?: FilterScope): Document {
  if (value === undefined) return {};
  const tooMany = () => tooCostly(pointer, `has more than ${walksMax} conditions`, "use $in, or several queries");
  if (countPatterns(value) > walksMax) throw tooMany();
  checkQuery(value, pointer, (path, at) => checkOwnPath(path, at, scope?.beneathId), scope);
  if (countConditions(value) > walksMax) throw tooMany();
  return value as Document;
}
