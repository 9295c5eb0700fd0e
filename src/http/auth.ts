import { createMiddleware } from "hono/factory";
import type { Deps } from "../deps.ts";
import { authenticate } from "../session/authenticate.ts";
import type { Env } from "./context.ts";
import { withDescription } from "./describe.ts";

/** Lets a request pass only with an admin's access token and says who it is. */
export const requireAdmin = (deps: Pick<Deps, "lookUp" | "tokens">) =>
  withDescription(
    createMiddleware<Env>(async (c, next) => {
      c.set("actor", await authenticate(deps, c.req.header("authorization")));
      await next();
    }),
    {
      security: [{ accessToken: [] }],
      problems: {
        token_missing: "No access token was sent",
        token_invalid: "The token is altered, too old, or its organization is gone",
      },
    },
  );
