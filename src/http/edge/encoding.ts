import { createMiddleware } from "hono/factory";
import { failure } from "../../lib/failure.ts";
import type { Env } from "./context.ts";
import type { HttpFailure } from "../contract/problems.ts";

/** Refuses bodies that come compressed (RFC 9110, 8.4): a small one could become a large one behind every limit. */
export const refuseEncoded = createMiddleware<Env>(async function refuseEncoded(c, next) {
  const encodings = (c.req.header("content-encoding") ?? "").split(",").map((each) => each.trim().toLowerCase());
  if (encodings.some((each) => each !== "" && each !== "identity") && c.req.raw.body) {
    throw failure<HttpFailure>("unsupported_content_encoding", "Send the body without a Content-Encoding.");
  }
  await next();
});
