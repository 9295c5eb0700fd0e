import { createHash } from "node:crypto";
import { swaggerUI } from "@hono/swagger-ui";
import { Hono } from "hono";
import bundle from "swagger-ui-dist/swagger-ui-bundle.js" with { type: "file" };
import styles from "swagger-ui-dist/swagger-ui.css" with { type: "file" };
import type { Env } from "../edge/context.ts";

const assets: Record<string, { file: string; type: string }> = {
  "swagger-ui.css": { file: styles, type: "text/css; charset=utf-8" },
  "swagger-ui-bundle.js": { file: bundle, type: "text/javascript; charset=utf-8" },
};

/** Lets the page run its own scripts and the one line that starts them, which is allowed by its hash. */
function contentSecurityPolicy(page: string): string {
  const inline = [...page.matchAll(/<script>([\s\S]*?)<\/script>/g)].map(
    ([, script = ""]) => `'sha256-${createHash("sha256").update(script).digest("base64")}'`,
  );
  return [
    "default-src 'none'",
    `script-src 'self' ${inline.join(" ")}`,
    "style-src 'self' 'unsafe-inline'",
    "img-src 'self' data:",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join("; ");
}

/** Swagger UI from files inside the program: it needs no internet. */
export const docsRoutes = () =>
  new Hono<Env>()
    .get("/", async (c, next) => {
      const render = swaggerUI({
        url: "/openapi.json",
        baseUrl: "/docs",
        title: "Croupier",
        persistAuthorization: false,
        tryItOutEnabled: true,
        deepLinking: true,
      });
      const answer = (await render(c as never, next)) as Response;
      // No browser has to ask for an icon that isn't there.
      const page = (await answer.text()).replace("</head>", '<link rel="icon" href="data:," /></head>');
      return c.html(page, 200, { "Content-Security-Policy": contentSecurityPolicy(page) });
    })
    .get("/swagger-ui-dist/:file", (c) => {
      const file = c.req.param("file");
      const asset = Object.hasOwn(assets, file) ? assets[file] : undefined;
      if (!asset) return c.notFound();
      return c.body(Bun.file(asset.file).stream(), 200, {
        "Content-Type": asset.type,
        "Cache-Control": "max-age=3600",
      });
    });
