import { cors } from "hono/cors";
import { createMiddleware } from "hono/factory";
import type { Env } from "./context.ts";

/** What a page may send beside what every page may (Fetch standard, CORS protocol). */
const allowHeaders = ["Authorization", "Content-Type", "If-Match", "If-None-Match", "Idempotency-Key", "X-Request-Id"];
/** What a page may read of an answer beside its body. */
const exposeHeaders = ["ETag", "Location", "Retry-After", "RateLimit", "RateLimit-Policy", "X-Request-Id"];

/** What says on each answer that a page may read it, beside Vary. */
export const corsHeaders = ["access-control-allow-origin", "access-control-expose-headers"];

/** Pages that a developer serves on the own machine, on any port. */
const isLocal = (origin: string): boolean => /^https?:\/\/(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?$/.test(origin);

/**
 * Lets pages of the listed origins use the API from a browser. An origin is compared whole and never sent back because
 * it was sent; other origins get the same answers without a header that would let them read these.
 *
 * @param origins as browsers write them: scheme, host and, when it isn't the scheme's own, port; or those of this machine
 */
export function allowOrigins(origins: readonly string[] | "localhost") {
  const isAllowed = origins === "localhost" ? isLocal : (origin: string) => origins.includes(origin);
  const allow = cors({
    // Only those that are allowed get there.
    origin: (origin) => origin,
    allowMethods: ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"],
    allowHeaders,
    exposeHeaders,
    maxAge: 600,
  });
  return createMiddleware<Env>(async function allowOrigins(c, next) {
    const allowed = isAllowed(c.req.header("origin") ?? "");
    const isPreflight = c.req.method === "OPTIONS" && c.req.header("access-control-request-method") !== undefined;
    // hono/cors takes every OPTIONS for a preflight.
    if (allowed && (isPreflight || c.req.method !== "OPTIONS")) return await allow(c, next);
    await next();
    // A cache must not give one origin what was meant for another.
    if (origins.length > 0) c.header("Vary", "Origin", { append: true });
    return;
  });
}
