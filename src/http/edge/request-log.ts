import { createMiddleware } from "hono/factory";
import { routePath } from "hono/route";
import type { Deps } from "../../deps.ts";
import type { Env } from "./context.ts";

/** One line a request: the route, never the query or a body, where emails and secrets are. */
export const requestLog = ({ log }: Pick<Deps, "log">) =>
  createMiddleware<Env>(async function requestLog(c, next) {
    const startedMs = performance.now();
    await next();
    log.info({
      msg: "request",
      request_id: c.get("requestId"),
      method: c.req.method,
      route: routePath(c, -1),
      status: c.res.status,
      ms: Math.round((performance.now() - startedMs) * 10) / 10,
      organization_id: c.get("actor")?.organizationId.toHexString(),
      operator_key: c.get("operator")?.keyId,
    });
  });
