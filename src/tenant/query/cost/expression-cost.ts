// The rule: an expression does work at most linear in the size of the document that it looks at, plus a constant, and what
// it holds is at most a constant times it. No database ends an expression before its end: MongoDB looks for `maxTimeMS` and
// `killOp` between documents only, and so does the PostgreSQL behind FerretDB.
//
// Expressions that are measured here were checked by `expression.ts`.
import { isDocument, toNumber } from "../../../lib/bson/bson.ts";
import { under } from "../../../lib/invalid.ts";
import {
  copiesMax,
  rangeMax,
  scalar,
  type Shape,
  sizeOfField,
  sizeOfShape,
  tooCostly,
  unitsMax,
  type Value,
  valueOf,
} from "./cost.ts";
import {
  compact,
  constant,
  type Growth,
  isConstant,
  keyUnder,
  largest,
  largestShare,
  plus,
  product,
  shareOf,
  sizeOf,
  times,
  without,
} from "./growth.ts";
import { operate } from "./operator-cost.ts";

/** `$let` is evaluated by FerretDB wherever its variable stands, so that the work is done each time. */
type Variable = Value & { work: Growth };
/** What is evaluated together: a pipeline's expression, or the body of a loop. */
type Frame = { work: Growth[]; depth: number; variables: ReadonlyMap<string, Variable> };

const found = (key: string): Value => ({ ...valueOf(sizeOf(key)), key });

/** Of the steps of an operator. A path is found by going through the names beside it, and FerretDB copies what is there. */
const pathSteps = 0.2;
const scanSteps = 0.05;
/** To begin a loop, for FerretDB. */
const loopSteps = 60;

const flatten = "use $unwind and $group, which take one element at a time";
const bindIt =
  "inside a loop you may calculate with outer values and compare them, but not iterate over or copy them; use $unwind and $group";

/** Beyond so many places in a document, what is set from them is taken to be the whole of it. */
const keysMax = 8;

/** Units of 16 bytes, as a number is one. */
const nameSize = (name: string): number => name.length / 16;
const textSize = (text: string): number => 1 + nameSize(text);
function literalSize(value: unknown): number {
  if (typeof value === "string") return textSize(value);
  if (Array.isArray(value)) return value.reduce<number>((sum, part) => sum + literalSize(part), 1);
  if (isDocument(value)) {
    return Object.entries(value).reduce((sum, [name, part]) => sum + nameSize(name) + literalSize(part), 1);
  }
  return 1;
}
const literal = (value: unknown): Value =>
  valueOf(constant(literalSize(value)), constant(Array.isArray(value) ? value.length : literalSize(value)));

/** Measures the expressions of one stage; gives the size of what one gives. @throws Failure `expression_too_costly` */
export function createMeasure(shape: Shape, spend: (work: Growth, pointer: string) => void) {
  const document = sizeOfShape(shape);

  function reference(text: string, frame: Frame): Value {
    const [name = "", ...rest] = text
      .replace(/^\$\$(ROOT|CURRENT)(\.|$)/, "$")
      .slice(1)
      .split(".");
    if (!text.startsWith("$$") || /^\$\$(ROOT|CURRENT)(\.|$)/.test(text)) {
      frame.work.push(constant(pathSteps), times(document, scanSteps));
      if (name === "") return valueOf(document);
      const isStored = !shape.fields.has(name) && shape.rest === null;
      return isStored ? found(keyUnder("doc", [name, ...rest])) : valueOf(sizeOfField(shape, name));
    }
    const variable = frame.variables.get(name.slice(1));
    if (!variable) return scalar;
    frame.work.push(variable.work);
    if (rest.length === 0) return variable;
    frame.work.push(constant(pathSteps), times(variable.size, scanSteps));
    return variable.key === undefined ? valueOf(variable.size) : found(keyUnder(variable.key, rest));
  }

  /** A loop's body, over an array of which each element is a root of its own; `work` and `grows` are of all rounds. */
  function rounds(body: Growth, root: string, over: Value, pointer: string, instead: string): Growth {
    const outer = { constant: 0, of: without(body, root).of };
    const all = product(over.count, outer);
    if (!all && !isConstant(outer)) {
      throw tooCostly(pointer, "repeats work in a loop that depends on more than the loop's element", instead);
    }
    return plus(
      times(over.count, body.constant),
      times(over.size, shareOf(body, root)),
      isConstant(outer) ? constant(0) : all!,
    );
  }

  const inner = (frame: Frame, more: [string, Variable][]): Frame => ({
    work: [],
    depth: frame.depth + 1,
    variables: new Map([...frame.variables, ...more]),
  });
  const element = (frame: Frame): [string, Variable] => {
    const root = String(frame.depth + 1);
    return [root, { ...found(root), work: constant(0) }];
  };

  function loop(name: "$map" | "$filter", value: Record<string, unknown>, pointer: string, frame: Frame): Value {
    const over = measure(value.input, under(pointer, "input"), frame);
    if (value.limit !== undefined) measure(value.limit, under(pointer, "limit"), frame);
    const [root, each] = element(frame);
    const body = inner(frame, [[typeof value.as === "string" ? value.as : "this", each]]);
    const part = name === "$map" ? "in" : "cond";
    const at = under(pointer, part);
    const made = measure(value[part], at, body);
    frame.work.push(constant(loopSteps), over.count, rounds(plus(...body.work), root, over, at, bindIt));
    return name === "$filter"
      ? valueOf(over.size, over.count)
      : valueOf(plus(constant(1), rounds(made.size, root, over, at, bindIt)), over.count);
  }

  function reduce(value: Record<string, unknown>, pointer: string, frame: Frame): Value {
    const over = measure(value.input, under(pointer, "input"), frame);
    const first = measure(value.initialValue, under(pointer, "initialValue"), frame);
    const [root, each] = element(frame);
    const result = `${root}value`;
    const at = under(pointer, "in");
    const body = inner(frame, [
      ["this", each],
      ["value", { ...found(result), work: constant(0) }],
    ]);
    const made = measure(value.in, at, body);
    const work = plus(...body.work);
    const [kept, used] = [shareOf(made.size, result), shareOf(work, result)];
    if (kept > 1 || (kept > 0 && used > 0)) {
      throw tooCostly(at, "makes $$value grow; only counting, summing and comparing are allowed", flatten);
    }
    const fresh = without(made.size, result);
    const all = rounds(fresh, root, over, at, bindIt);
    frame.work.push(constant(loopSteps), over.count, rounds(without(work, result), root, over, at, bindIt));
    frame.work.push(times(plus(first.size, all), used));
    const last = plus(without(fresh, root), times(over.size, shareOf(fresh, root)));
    return valueOf(plus(first.size, kept > 0 ? all : last));
  }

  function bind(value: Record<string, unknown>, pointer: string, frame: Frame): Value {
    const at = under(pointer, "vars");
    const more = Object.entries(value.vars as Record<string, unknown>).map(([name, part]): [string, Variable] => {
      const own: Frame = { ...frame, work: [] };
      const bound = measure(part, under(at, name), own);
      return [name, { ...bound, work: compact(plus(...own.work)) }];
    });
    return measure(value.in, under(pointer, "in"), { ...frame, variables: new Map([...frame.variables, ...more]) });
  }

  /** How many elements a `$range` has at most that ends there; null when that can't be told. */
  function boundOf(value: unknown, pointer: string, frame: Frame): Growth | null {
    const number = toNumber(isDocument(value) ? (value.$literal ?? value) : value);
    if (Number.isFinite(number)) return constant(Math.abs(number));
    const [name, argument] = isDocument(value) ? Object.entries(value)[0]! : [];
    const at = under(pointer, name ?? "");
    if (name === "$size") return measure(Array.isArray(argument) ? argument[0] : argument, at, frame).count;
    if (name === "$strLenCP" || name === "$strLenBytes") return times(measure(argument, at, frame).size, 16);
    if (name !== "$subtract" || !Array.isArray(argument) || !(toNumber(argument[1]) >= 0)) return null;
    return boundOf(argument[0], under(at, 0), frame);
  }

  function range(value: unknown, pointer: string, frame: Frame): Value {
    const [start, end, step = 1] = Array.isArray(value) ? value : [];
    const [from, by] = [toNumber(start), toNumber(step)];
    const until = boundOf(end, under(pointer, 1), frame);
    if (!Number.isFinite(from) || !Number.isFinite(by) || until === null) {
      const message = "must have bounds whose difference is known in advance";
      throw tooCostly(pointer, message, 'write numbers, or a start and {"$size":…} of an array of the document');
    }
    const apart = isConstant(until)
      ? constant(Math.abs((isDocument(end) ? until.constant : toNumber(end)) - from))
      : plus(until, constant(Math.abs(from)));
    const count = times(apart, 1 / Math.max(1, Math.abs(by)));
    if (count.constant > rangeMax) {
      throw tooCostly(pointer, `has more than ${rangeMax} numbers`, "count existing values instead");
    }
    frame.work.push(count);
    return valueOf(count);
  }

  function choose(value: unknown, pointer: string, frame: Frame): Value {
    const all = isDocument(value)
      ? Object.entries(value).flatMap(([name, part]) =>
          name === "branches" && Array.isArray(part)
            ? part.flatMap((branch, index) => parts(branch, under(under(pointer, name), index), frame))
            : [measure(part, under(pointer, name), frame)],
        )
      : parts(value, pointer, frame);
    return valueOf(largest(...all.map(({ size }) => size)), largest(...all.map(({ count }) => count)));
  }

  const parts = (value: unknown, pointer: string, frame: Frame): Value[] =>
    isDocument(value) && !Object.keys(value).some((name) => name.startsWith("$"))
      ? Object.entries(value).map(([name, part]) => measure(part, under(pointer, name), frame))
      : Array.isArray(value)
        ? value.map((part, index) => measure(part, under(pointer, index), frame))
        : [measure(value, pointer, frame)];

  function measure(value: unknown, pointer: string, frame: Frame): Value {
    const made = evaluate(value, pointer, frame);
    if (made.size.constant > unitsMax || largestShare(made.size) > copiesMax) {
      throw tooCostly(pointer, `may produce more than ${copiesMax} times the size of its input`, flatten);
    }
    return made;
  }

  function evaluate(value: unknown, pointer: string, frame: Frame): Value {
    if (typeof value === "string") return value.startsWith("$") ? reference(value, frame) : literal(value);
    if (Array.isArray(value)) {
      const all = parts(value, pointer, frame);
      const size = plus(constant(1), ...all.map((each) => each.size));
      frame.work.push({ ...times(size, scanSteps), constant: 0 });
      return valueOf(size, constant(value.length));
    }
    if (!isDocument(value)) return literal(value);
    const [name, argument] = Object.entries(value)[0] ?? ["", undefined];
    if (!name.startsWith("$")) {
      const names = constant(Object.keys(value).reduce((sum, each) => sum + nameSize(each), 1));
      const size = plus(names, ...parts(value, pointer, frame).map((each) => each.size));
      frame.work.push({ ...times(size, scanSteps), constant: 0 });
      return valueOf(size);
    }
    const at = under(pointer, name);
    frame.work.push(constant(1));
    if (name === "$literal") return literal(argument);
    if (name === "$range") return range(argument, at, frame);
    if (name === "$cond" || name === "$switch" || name === "$ifNull") return choose(argument, at, frame);
    const named = argument as Record<string, unknown>;
    if (name === "$let") return bind(named, at, frame);
    if (name === "$map" || name === "$filter") return loop(name, named, at, frame);
    if (name === "$reduce") return reduce(named, at, frame);
    const { work, made } = operate(name, argument, parts(argument, at, frame), at);
    frame.work.push(work);
    return made;
  }

  return (value: unknown, pointer: string): Growth => {
    const frame: Frame = { work: [], depth: 0, variables: new Map() };
    const { size } = measure(value, pointer, frame);
    spend(plus(...frame.work), pointer);
    return size.of.size > keysMax ? compact(size) : size;
  };
}
