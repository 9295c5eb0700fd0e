import { createMiddleware } from "hono/factory";
import type { Deps } from "../deps.ts";
import { authenticate, authenticateOften } from "../session/authenticate.ts";
import type { Intent } from "../session/session.ts";
import type { Env } from "./context.ts";
import { withDescription } from "./describe.ts";

/** Lets a request pass only with an admin's access token and says who it is. */
export const requireAdmin = (deps: Pick<Deps, "lookUp" | "tokens" | "revocations">, intent: Intent = "write") =>
  withDescription(
    createMiddleware<Env>(async (c, next) => {
      c.set("actor", await authenticate(deps, c.req.header("authorization"), intent));
      await next();
    }),
    {
      security: [{ accessToken: [] }],
      problems: {
        token_missing: "No access token was sent",
        token_invalid: "The token is altered, too old, was ended, or its organization is gone",
        revocations_unknown: "Whether the token was ended can't be told just now",
      },
    },
  );

/** The same for requests to an organization's documents: there are many of these, so it asks the database rarely. */
export const requireTenant = (
  deps: Pick<Deps, "lookUp" | "tokens" | "revocations" | "leases">,
  intent: Intent = "write",
) =>
  withDescription(
    createMiddleware<Env>(async (c, next) => {
      c.set("actor", await authenticateOften(deps, c.req.header("authorization"), intent));
      c.header("Cache-Control", "no-store");
      await next();
    }),
    {
      security: [{ accessToken: [] }],
      problems: {
        token_missing: "No access token was sent",
        token_invalid: "The token is altered, too old, was ended, or its organization is gone",
        revocations_unknown: "Whether the token was ended can't be told just now",
        tenant_gone: "The organization was removed meanwhile",
        organization_without_place: "Nobody knows where its documents are",
        tenant_moving: "The organization is being moved, and this would have taken too long",
      },
    },
  );
