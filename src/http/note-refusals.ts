import type { Context } from "hono";
import { createMiddleware } from "hono/factory";
import { routePath } from "hono/route";
import { ObjectId } from "mongodb";
import type { Who } from "../audit/audit.ts";
import type { Deps } from "../deps.ts";
import { isFailure } from "../lib/failure.ts";
import { bearerOf } from "../lib/bearer.ts";
import type { Env } from "./context.ts";
import { originOf } from "./origin.ts";

type NoteDeps = Pick<Deps, "audit" | "tokens" | "config">;

/** Whose token it was, when it is one of ours that no longer holds: its organization is to see that somebody tries it. */
async function ownerOf({ tokens }: NoteDeps, c: Context<Env>): Promise<{ organizationId: ObjectId | null; who?: Who }> {
  const actor = c.get("actor");
  if (actor) return { organizationId: actor.organizationId };
  const token = bearerOf(c.req.header("authorization"));
  const claims = token === undefined ? null : await tokens.read(token, false).catch(() => null);
  if (!claims) return { organizationId: null };
  return { organizationId: new ObjectId(claims.organization_id), who: { kind: "admin", id: claims.admin_id } };
}

/** Puts refused access (401, 403) on record, without anybody waiting for it. A sign-in that fails is the sign-in's own to record. */
export const noteRefusals = (deps: NoteDeps) =>
  createMiddleware<Env>(async function noteRefusals(c, next) {
    await next();
    const { status } = c.res;
    if ((status !== 401 && status !== 403) || c.req.path === "/admin/login") return;
    const code = isFailure(c.error) ? c.error.failure : "unknown";
    const details = { code, method: c.req.method, route: routePath(c, -1) };
    const origin = originOf(c, deps.config.trustedProxies);
    const entry = { act: "access.refused", details, ...(await ownerOf(deps, c)) } as const;
    deps.audit.note(origin, entry, "refused");
  });
