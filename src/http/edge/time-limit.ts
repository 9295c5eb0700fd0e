import type { Context } from "hono";
import { createMiddleware } from "hono/factory";
import type { Deps } from "../../deps.ts";
import { failure } from "../../lib/failure.ts";
import type { Env } from "./context.ts";
import { originOf } from "./origin.ts";
import type { HttpFailure } from "../contract/problems.ts";

/**
 * Answers 503 when a request takes too long, the time that its body takes to arrive included. Nothing can stop a function
 * that runs: what it waits for ends by itself (a statement has its own time-out) or by the signal that is left in `late`, and
 * what it would do later is kept from starting by that.
 */
export const timeLimit = (timeoutMs: number) =>
  createMiddleware<Env>(async function timeLimit(c, next) {
    const stop = new AbortController();
    c.set("late", stop.signal);
    const { promise: late, reject } = Promise.withResolvers<never>();
    const timer = setTimeout(() => {
      const error = failure<HttpFailure>(
        "timeout",
        "The request took too long and was abandoned; it may have taken effect.",
      );
      stop.abort(error);
      reject(error);
    }, timeoutMs);
    try {
      await Promise.race([next(), late]);
    } finally {
      clearTimeout(timer);
      // Whatever of the body hasn't come by now is not waited for.
      if (stop.signal.aborted) c.header("Connection", "close");
    }
  });

/** Aborted when a request's time is up or its caller is gone. */
export function signalOf(c: Context): AbortSignal {
  const late: AbortSignal | undefined = c.get("late");
  return late ? AbortSignal.any([late, c.req.raw.signal]) : c.req.raw.signal;
}

/** Deps for one request: they say who asks, and its passwords leave the queue when it is late or its caller is gone. */
export function forRequest<D extends Pick<Deps, "passwords" | "origin">>(deps: D, c: Context<Env>): D {
  const { passwords } = deps;
  const signal = signalOf(c);
  return {
    ...deps,
    origin: originOf(c),
    passwords: {
      ...passwords,
      hash: (password: string) => passwords.hash(password, signal),
      matches: (password: string, hash: string | null) => passwords.matches(password, hash, signal),
    },
  };
}
