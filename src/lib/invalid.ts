import { type Failure, failure } from "./failure.ts";

/** A request that is refused for one thing in it; `message` goes on where the pointer ends: "must be a string". */
export const invalid = (pointer: string, message: string, code: string): Failure<"invalid_request"> =>
  failure("invalid_request", `${pointer} ${message}.`, { errors: [{ pointer, message, code }] });

/** The pointer (RFC 6901) to a part of what `pointer` points to; an answer doesn't grow with the length of a name. */
export const under = (pointer: string, part: string | number): string =>
  `${pointer}/${String(part).slice(0, 100).replaceAll("~", "~0").replaceAll("/", "~1")}`;

/** Refuses too many of something before any of them is looked at. @throws Failure `invalid_request` */
export function assertAtMost(count: number, max: number, things: string, pointer: string): void {
  if (count > max) throw invalid(pointer, `must have at most ${max} ${things}`, "too_many");
}
