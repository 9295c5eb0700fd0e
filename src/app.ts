import { Hono } from "hono";
import { createMiddleware } from "hono/factory";
import { etag, RETAINED_304_HEADERS } from "hono/etag";
import { methodNotAllowed } from "hono/method-not-allowed";
import { requestId } from "hono/request-id";
import { secureHeaders } from "hono/secure-headers";
import type { Deps } from "./deps.ts";
import { noteArrival } from "./http/edge/address.ts";
import { adminRoutes } from "./http/admin/admin-routes.ts";
import { ownAuditRoutes, platformAuditRoutes } from "./http/organization/audit-routes.ts";
import type { Env } from "./http/edge/context.ts";
import { allowListRoutes } from "./http/organization/allow-list-routes.ts";
import { allowOrigins, corsHeaders } from "./http/edge/cors.ts";
import { limitRefused } from "./http/edge/limits.ts";
import { openApiDocument } from "./http/contract/openapi.ts";
import { serveOnce } from "./http/contract/serve-once.ts";
import { docsRoutes } from "./http/contract/docs.ts";
import { documentRoutes } from "./http/documents/document-routes.ts";
import { checkHost, pathOf } from "./http/edge/host.ts";
import { refuseEncoded } from "./http/edge/encoding.ts";
import { enforceHttps } from "./http/edge/https.ts";
import { indexRoutes } from "./http/documents/index-routes.ts";
import { noteRefusals } from "./http/edge/note-refusals.ts";
import { organizationRoutes } from "./http/organization/organization-routes.ts";
import { type HttpFailure, handleError, sendProblem } from "./http/contract/problems.ts";
import { platformOrganizationRoutes } from "./http/platform/platform-organization-routes.ts";
import { platformRoutes } from "./http/platform/platform-routes.ts";
import { boundBodies } from "./http/edge/receive.ts";
import { recoveryRoutes } from "./http/admin/recovery-routes.ts";
import { requestLog } from "./http/edge/request-log.ts";
import { sessionRoutes } from "./http/admin/session-routes.ts";
import { serviceRoutes } from "./http/service/service-routes.ts";
import { usageRoutes } from "./http/organization/usage-routes.ts";
import { timeLimit } from "./http/edge/time-limit.ts";
import { whenReady } from "./http/edge/when-ready.ts";
import { createBudget } from "./lib/limit/budget.ts";
import { failure } from "./lib/failure.ts";

/** Queries don't: as BSON one can be many times its size as JSON, and more than a statement may have. */
const carriesDocuments = (method: string, path: string) =>
  method === "POST" ? path === "/org/documents" : path.startsWith("/org/documents/");

/** Nothing that needs or gives a token is kept by anybody on the way. */
const noStore = createMiddleware<Env>(async function noStore(c, next) {
  c.header("Cache-Control", "no-store");
  await next();
});

/**
 * The table of contents of the API: what every request passes, in this order, and where it goes.
 *
 * @param isReady whether the database has been prepared and the process is not about to stop
 */
export function createApp(deps: Deps, isReady: () => boolean = () => true): Hono<Env> {
  const app = new Hono<Env>({ getPath: pathOf });

  app.use(requestId());
  app.use(noteArrival(deps.config.trustedProxies));
  app.use(requestLog(deps));
  app.use(
    secureHeaders({
      contentSecurityPolicy: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] },
      // A route may have a policy of its own.
      overwrite: false,
      // Only a service that is reached by HTTPS may promise it.
      strictTransportSecurity: false,
    }),
  );
  app.use(checkHost);
  app.use(allowOrigins(deps.config.corsOrigins));
  const groups = ["/org/*", "/admin/*", "/platform/*"];
  for (const group of groups) app.use(group, noStore);
  if (deps.config.enforceHttps) app.use(enforceHttps(deps.config.publicOrigin));
  app.use(
    methodNotAllowed({
      app,
      onMethodNotAllowed: (c, methods) =>
        sendProblem(c, failure<HttpFailure>("method_not_allowed", `Allowed here: ${methods.join(", ")}.`), {
          Allow: methods.join(", "),
        }),
    }),
  );
  for (const group of groups)
    app.use(group, noteRefusals(deps), timeLimit(deps.config.requestTimeoutMs), limitRefused(deps));
  app.use(refuseEncoded);
  const { documentsBytesMax, bodyBytesMax, bodiesBytesMax } = deps.config;
  app.use(
    boundBodies(
      (method, path) => (carriesDocuments(method, path) ? documentsBytesMax : bodyBytesMax),
      createBudget(bodiesBytesMax),
    ),
  );

  app.route("/", serviceRoutes(deps, isReady));
  app.route("/docs", docsRoutes());
  // Where the first Croupier had another page of the same.
  app.get("/redoc", (c) => c.redirect("/docs", 308));
  app.use("/org/*", whenReady(isReady));
  app.use("/admin/*", whenReady(isReady));
  app.use("/platform/*", whenReady(isReady));
  app.route("/org", organizationRoutes(deps));
  app.route("/org", allowListRoutes(deps));
  app.route("/org", usageRoutes(deps));
  app.route("/org/documents", documentRoutes(deps));
  app.route("/org/indexes", indexRoutes(deps));
  app.route("/org/audit", ownAuditRoutes(deps));
  app.route("/admin", adminRoutes(deps));
  app.route("/admin", sessionRoutes(deps));
  app.route("/admin", recoveryRoutes(deps));
  app.route("/platform", platformOrganizationRoutes(deps));
  app.route("/platform", platformRoutes(deps));
  app.route("/platform/audit", platformAuditRoutes(deps));

  const securitySchemes = {
    accessToken: { type: "http", scheme: "bearer", bearerFormat: "JWT" },
    operatorKey: {
      type: "http",
      scheme: "bearer",
      description: "A key made by `croupier key create`, with the required scope",
    },
  };
  app.get(
    "/openapi.json",
    // And what this service adds for whoever asks from a page, or quotes the request.
    etag({ retainedHeaders: [...RETAINED_304_HEADERS, ...corsHeaders, "x-request-id"] }),
    serveOnce(() => openApiDocument(app, { securitySchemes }, deps.config.validationErrors)),
  );

  app.notFound((c) => sendProblem(c, failure<HttpFailure>("not_found", "Nothing exists at this path; see /docs.")));
  app.onError(handleError(deps));
  return app;
}
