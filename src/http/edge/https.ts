import { createMiddleware } from "hono/factory";
import { failure } from "../../lib/failure.ts";
import type { Env } from "./context.ts";
import type { HttpFailure } from "../contract/problems.ts";

/** Those who look after the process ask it directly, not through the proxy. */
const exempt = new Set(["/health", "/readiness"]);
const year = 365 * 24 * 60 * 60;

/**
 * Lets only requests pass that came to the trusted proxy by HTTPS, and tells browsers to use nothing else (RFC 6797). What
 * only reads is sent on to HTTPS; anything else is refused: its body, maybe a password, went in clear already, and a
 * redirect would hide that from whoever has to change it.
 *
 * @param publicOrigin where it is sent on to: what the Host header says the caller may have made up. Null: it is refused, too
 */
export const enforceHttps = (publicOrigin: string | null) =>
  createMiddleware<Env>(async function enforceHttps(c, next) {
    if (exempt.has(c.req.path)) return await next();
    if (c.get("arrival").usedHttps) {
      c.header("Strict-Transport-Security", `max-age=${year}; includeSubDomains`);
      return await next();
    }
    if (publicOrigin !== null && (c.req.method === "GET" || c.req.method === "HEAD")) {
      const { pathname, search } = new URL(c.req.url);
      return c.redirect(publicOrigin + pathname + search, 308);
    }
    throw failure<HttpFailure>(
      "https_required",
      "Use HTTPS, and change the password or token that was just sent in clear text.",
    );
  });
