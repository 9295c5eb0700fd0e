import type { Context } from "hono";
import { createMiddleware } from "hono/factory";
import { routePath } from "hono/route";
import { ObjectId } from "mongodb";
import type { Deps } from "../../deps.ts";
import { type About, isFailure } from "../../lib/failure.ts";
import { bearerOf } from "../../lib/net/bearer.ts";
import type { Env } from "./context.ts";
import { originOf } from "./origin.ts";
import { asFailure, problemTypes } from "../contract/problems.ts";

type NoteDeps = Pick<Deps, "audit" | "tokens">;

/** Whose token it was, when it is one of ours that no longer holds: its organization is to see that somebody tries it. */
async function ownerOf({ tokens }: NoteDeps, c: Context<Env>): Promise<Partial<About> & Pick<About, "organizationId">> {
  if (isFailure(c.error) && c.error.about) return c.error.about;
  const actor = c.get("actor");
  if (actor) return { organizationId: actor.organizationId };
  const token = bearerOf(c.req.header("authorization"));
  const claims = token === undefined ? null : await tokens.read(token, false).catch(() => null);
  if (!claims || claims === "expired") return { organizationId: null };
  return { organizationId: new ObjectId(claims.organization_id), who: { kind: "admin", id: claims.admin_id } };
}

/**
 * Why somebody was refused; null when it is no matter of access. A sign-in that fails is the sign-in's own to record, unless it
 * is not tried; an operator's key that is not looked up is refused, too.
 */
function refusalOf(c: Context<Env>): string | null {
  if (!c.error) return null;
  const { failure } = asFailure(c.error);
  const { path } = c.req;
  const isUnknown = path === "/admin/recovery" || (path.startsWith("/platform/") && !c.get("operator"));
  if (failure === "rate_limited" && isUnknown) return failure;
  if (path === "/admin/login") return failure === "rate_limited" ? failure : null;
  // Not by the status of the answer: many wrong tokens are refused with another one.
  return [401, 403].includes(problemTypes[failure].status) ? failure : null;
}

/** An operator's request names the organization by its path: it may be none, and is no chain to write to. */
const organizationAsked = /^\/platform\/organizations\/([0-9a-f]{24})(?:\/|$)/;

/** Puts refused access (401, 403) on record, without anybody waiting for it. */
export const noteRefusals = (deps: NoteDeps) =>
  createMiddleware<Env>(async function noteRefusals(c, next) {
    await next();
    const code = refusalOf(c);
    if (code === null) return;
    const organization_id = organizationAsked.exec(c.req.path)?.[1];
    const details = {
      code,
      method: c.req.method,
      route: routePath(c, -1),
      ...(organization_id && { organization_id }),
    };
    const origin = originOf(c);
    const entry = { act: "access.refused", details, ...(await ownerOf(deps, c)) } as const;
    deps.audit.note(origin, entry, "refused");
  });
