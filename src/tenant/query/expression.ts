import { isDocument } from "../../lib/bson/bson.ts";
import { assertAtMost, invalid, under } from "../../lib/invalid.ts";
import { isReserved } from "../document.ts";
import { checkNumbers } from "./path.ts";
import { expressionOperators, systemVariables } from "./operators.ts";

type Variables = ReadonlySet<string>;

/** As the server has it: a variable of a pipeline begins with a small letter. */
const variableName = /^[a-z][A-Za-z0-9_]*$/;
/** At one place, those of the operators around it too. */
export const variablesMax = 50;

function bind(bound: Variables, name: unknown, pointer: string): Variables {
  if (typeof name !== "string" || !variableName.test(name)) {
    throw invalid(pointer, "is not a variable name", "invalid_variable");
  }
  const more = new Set(bound).add(name);
  assertAtMost(more.size, variablesMax, "variables at one place", pointer);
  return more;
}

function checkText(text: string, pointer: string, bound: Variables): void {
  if (!text.startsWith("$")) return;
  checkNumbers(text, pointer);
  if (!text.startsWith("$$")) return;
  const name = text.slice(2).split(".")[0]!;
  if (!systemVariables.has(name) && !bound.has(name)) {
    throw invalid(pointer, "is not allowed as a variable here", "variable_not_allowed");
  }
}

/** Checks the named arguments of an operator; those in `inner` see more variables. */
function checkArguments(value: unknown, pointer: string, bound: Variables, inner: string, more: Variables): void {
  if (!isDocument(value)) throw invalid(pointer, "must be an object", "invalid_type");
  for (const [name, part] of Object.entries(value)) {
    check(part, under(pointer, name), name === inner ? more : bound);
  }
}

/** Operators that bind variables, or set a field. */
const special: Record<string, (value: unknown, pointer: string, bound: Variables) => void> = {
  $let(value, pointer, bound) {
    const vars: unknown = isDocument(value) ? value.vars : undefined;
    if (!isDocument(vars)) throw invalid(pointer, "must be {vars, in}", "invalid_type");
    const at = under(pointer, "vars");
    const more = Object.keys(vars).reduce((names, name) => bind(names, name, under(at, name)), bound);
    checkArguments(value, pointer, bound, "in", more);
  },
  $map: (value, pointer, bound) => checkArguments(value, pointer, bound, "in", bindAs(value, pointer, bound)),
  $filter: (value, pointer, bound) => checkArguments(value, pointer, bound, "cond", bindAs(value, pointer, bound)),
  $reduce: (value, pointer, bound) => checkArguments(value, pointer, bound, "in", new Set([...bound, "this", "value"])),
  $setField: (value, pointer, bound) => checkSetField(value, pointer, bound),
};

/** As in `stages.ts`; the field is a constant to the server too. */
function checkSetField(value: unknown, pointer: string, bound: Variables): void {
  const field: unknown = isDocument(value) ? value.field : undefined;
  const name: unknown = isDocument(field) ? field.$literal : field;
  if (typeof name === "string" && isReserved(name)) {
    throw invalid(under(pointer, "field"), "is reserved for Croupier", "reserved_name");
  }
  check(value, pointer, bound);
}

function bindAs(value: unknown, pointer: string, bound: Variables): Variables {
  const name: unknown = isDocument(value) ? (value.as ?? "this") : "this";
  return bind(bound, name, under(pointer, "as"));
}

function checkOperator(name: string, value: unknown, pointer: string, bound: Variables): void {
  if (!expressionOperators.has(name)) {
    throw invalid(pointer, "is not allowed as an operator here", "operator_not_allowed");
  }
  if (name === "$literal") return;
  if (Object.hasOwn(special, name)) special[name]!(value, pointer, bound);
  else check(value, pointer, bound);
}

function check(value: unknown, pointer: string, bound: Variables): void {
  if (typeof value === "string") checkText(value, pointer, bound);
  if (Array.isArray(value)) value.forEach((part, index) => check(part, under(pointer, index), bound));
  if (!isDocument(value)) return;
  const entries = Object.entries(value);
  const operators = entries.filter(([name]) => name.startsWith("$"));
  if (operators.length > 0 && entries.length > 1) {
    throw invalid(pointer, "has an operator beside other names", "invalid_expression");
  }
  for (const [name, part] of entries) {
    if (name.startsWith("$")) checkOperator(name, part, under(pointer, name), bound);
    else {
      // A path, beneath `sortBy`.
      checkNumbers(name, under(pointer, name));
      check(part, under(pointer, name), bound);
    }
  }
}

/** Throws `invalid_request` for an expression with an operator or a variable that isn't allowed, however deep in it. */
export const checkExpression = (value: unknown, pointer: string): void => check(value, pointer, new Set());

/** Throws unless `value` is one operator of the table (an accumulator, a window function) and its operand an expression. */
export function checkAccumulator(
  value: unknown,
  pointer: string,
  table: ReadonlySet<string>,
  beside: string[] = [],
): void {
  if (!isDocument(value)) throw invalid(pointer, "must be an object with one operator", "invalid_type");
  const names = Object.keys(value).filter((name) => !beside.includes(name));
  const [name] = names;
  if (name === undefined || names.length > 1) throw invalid(pointer, "must have one operator", "invalid_expression");
  const at = under(pointer, name);
  if (!table.has(name)) throw invalid(at, "is not allowed as an operator here", "operator_not_allowed");
  checkExpression(value[name], at);
}
