import { type Failure, failure } from "./failure.ts";

/** A request that is refused for one thing in it; `message` goes on where the pointer ends: "must be a string". */
export const invalid = (pointer: string, message: string, code: string): Failure<"invalid_request"> =>
  failure("invalid_request", `${pointer} ${message}.`, { errors: [{ pointer, message, code }] });

/** The pointer (RFC 6901) to a part of what `pointer` points to; an answer doesn't grow with the length of a name. */
export const under = (pointer: string, part: string | number): string =>
  `${pointer}/${typeof part === "number" ? part : escapeName(part.length > 100 ? part.slice(0, 100) : part)}`;

/** Mostly there is nothing to escape, and a query has thousands of parts. */
const escapeName = (name: string): string =>
  name.includes("~") || name.includes("/") ? name.replaceAll("~", "~0").replaceAll("/", "~1") : name;

/** Refuses too many of something before any of them is looked at. @throws Failure `invalid_request` */
export function assertAtMost(count: number, max: number, things: string, pointer: string): void {
  if (count > max) throw invalid(pointer, `must have at most ${max} ${things}`, "too_many");
}
