import { createMiddleware } from "hono/factory";
import { failure } from "../../lib/failure.ts";
import type { Env } from "./context.ts";
import type { HttpFailure } from "../contract/problems.ts";

/** Refuses requests until the database has been prepared: before that, what is read there may not be complete. */
export const whenReady = (isReady: () => boolean) =>
  createMiddleware<Env>(async function whenReady(_c, next) {
    if (!isReady()) {
      throw failure<HttpFailure>("starting", "The service is starting; try again shortly.", { retryAfterSeconds: 1 });
    }
    await next();
  });
