import { type Failure, failure } from "../../../lib/failure.ts";
import { compact, constant, type Growth, keyUnder, plus, sizeOf } from "./growth.ts";

export type CostFailure = "expression_too_costly";

/** Numbers of one `$range`, and documents that one `$densify` makes. */
export const rangeMax = 10_000;
/** Steps of a pipeline that don't depend on the document: numbers of a `$range`, operators. */
export const stepsMax = 2 * rangeMax;
/** Steps for each part (a value, 16 bytes of a text) of the document. */
export const walksMax = 200;
/** How many times as large as the document what is held may be, and how many units of 16 bytes are held beside. */
export const copiesMax = 40;
export const unitsMax = 2_000_000;

export const tooCostly = (pointer: string, message: string, instead: string): Failure<CostFailure> =>
  failure<CostFailure>("expression_too_costly", `${pointer} ${message}; ${instead}.`, {
    errors: [{ pointer, message, code: "expression_too_costly" }],
  });

/** A document between two stages: fields that stages have set; all others are the stored document's, or of a size together. */
export type Shape = { fields: ReadonlyMap<string, Growth>; rest: Growth | null };
export const storedShape: Shape = { fields: new Map(), rest: null };
export const sizeOfField = ({ fields, rest }: Shape, name: string): Growth =>
  fields.get(name) ?? rest ?? sizeOf(keyUnder("doc", [name]));
export const sizeOfShape = ({ fields, rest }: Shape): Growth =>
  compact(plus(rest ?? sizeOf("doc"), ...fields.values()));

/** What an expression gives: how large it is, how many elements it has, and where in a document or element it is found. */
export type Value = { size: Growth; count: Growth; key?: string };
export const valueOf = (size: Growth, count: Growth = size): Value => ({ size, count });
export const scalar: Value = valueOf(constant(1));
