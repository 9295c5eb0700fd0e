import type { ObjectId } from "mongodb";
import type { Who } from "../audit/audit.ts";

/** One field that was wrong: `pointer` is an RFC 6901 pointer into the body, or `?name` for a query parameter. */
export type FieldError = { pointer: string; message: string; code: string };

/**
 * A refusal that a caller can act on. It is data (a code of the noun that refuses) and an Error only so that it can be
 * thrown; `http/contract/problems.ts` gives each code its status and title. `detail` is shown to strangers: no driver text in it.
 */
export type Failure<Code extends string = string> = Error & {
  readonly failure: Code;
  readonly retryAfterSeconds?: number;
  /** What logs and operators are told instead of the detail. */
  readonly forOperators?: string;
  readonly errors?: FieldError[];
  /** What the credentials would have had to allow (RFC 6750, 3). */
  readonly scope?: string;
  /** Of what is there now, when it isn't what was meant (RFC 9110, 15.5.13). */
  readonly etag?: string;
  /** More members of the problem document (RFC 9457, 3.2), as BSON. */
  readonly members?: Record<string, unknown>;
  /** Whose credentials were refused, for the record only: no answer says it. */
  readonly about?: About;
};
export type About = { who: Who; organizationId: ObjectId | null };

export const failure = <Code extends string>(
  code: Code,
  detail: string,
  more: {
    retryAfterSeconds?: number;
    forOperators?: string;
    errors?: FieldError[];
    scope?: string;
    etag?: string;
    members?: Record<string, unknown>;
    about?: About;
    cause?: unknown;
  } = {},
): Failure<Code> => {
  const { cause, ...rest } = more;
  return Object.assign(new Error(detail, { cause }), { failure: code, ...rest });
};

export const isFailure = (error: unknown): error is Failure =>
  error instanceof Error && typeof (error as Partial<Failure>).failure === "string";

/** Whether nothing was done, and it would be refused again: it doesn't ask to try again. */
export const isRefusal = (error: unknown): error is Failure =>
  isFailure(error) && error.retryAfterSeconds === undefined;
