/**
 * The service, and on OPEN_PORT the same one without what stands before its handlers: no token is checked, no revocation
 * looked up, nothing limited. The handlers, and all other middleware, are the very same in one process on one database.
 */
import { type Handler, Hono } from "hono";
import { ObjectId } from "mongodb";
import { createApp } from "../src/app.ts";
import { startService } from "../src/serve.ts";
import { readConfig } from "../src/config.ts";
import type { Deps } from "../src/deps.ts";
import type { Env } from "../src/http/edge/context.ts";
import type { Description } from "../src/http/contract/describe.ts";
import { handleError } from "../src/http/contract/problems.ts";
import { createLogger } from "../src/log.ts";
import type { Actor } from "../src/session/session.ts";

/** What a middleware says of itself to the API's description. */
function descriptionOf(handler: object): Description | undefined {
  const symbol = Object.getOwnPropertySymbols(handler).find(({ description }) => description === "description");
  return symbol && (handler as Record<symbol, Description>)[symbol];
}

/** Takes the token's word for it, which is read once; whom a handler shows must still be read. */
function believe({ lookUp }: Deps): Handler<Env> {
  const actors = new Map<string, Actor>();
  const read = (header: string): Actor => {
    const claims = JSON.parse(Buffer.from(header.split(".")[1] ?? "", "base64url").toString());
    return { adminId: new ObjectId(claims.admin_id), organizationId: new ObjectId(claims.organization_id), claims };
  };
  return async (c, next) => {
    const header = c.req.header("authorization") ?? "";
    const actor = actors.get(header) ?? read(header);
    actors.set(header, actor);
    c.set("actor", actor);
    if (c.req.path === "/admin/me") {
      const [admin, organization] = await Promise.all([
        lookUp.adminById(actor.adminId),
        lookUp.organizationById(actor.organizationId),
      ]);
      c.set("signedIn", { actor, admin: admin!, organization: organization! });
    }
    await next();
  };
}

function createOpenApp(deps: Deps): Hono<Env> {
  const app = new Hono<Env>();
  let opened = 0;
  for (const { method, path, handler } of createApp(deps).routes) {
    if (handler.name === "limitRefused") continue;
    const asksWho = descriptionOf(handler)?.security !== undefined;
    if (asksWho) opened++;
    app.on(method, path, asksWho ? believe(deps) : (handler as Handler<Env>));
  }
  if (opened === 0) throw new Error("no middleware was found that asks for a token");
  app.onError(handleError(deps));
  return app;
}

const config = readConfig(process.env);
const running = await startService(config, createLogger(config.logLevel));
await running.ready;
Bun.serve({ hostname: "127.0.0.1", port: Number(process.env.OPEN_PORT), fetch: createOpenApp(running.deps).fetch });
process.once("SIGTERM", () => void running.stop().then(() => process.exit(0)));
