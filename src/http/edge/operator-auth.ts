import { createMiddleware } from "hono/factory";
import type { Deps } from "../../deps.ts";
import { authenticateOperator } from "../../operator/authenticate.ts";
import type { Scope } from "../../operator/key.ts";
import type { Env } from "./context.ts";
import { withDescription } from "../contract/describe.ts";
import { limitOperator, refuseSpent } from "./limits.ts";

/** Lets a request pass only with an operator's key that has a scope, and says whose it is. */
export const requireOperator = (deps: Pick<Deps, "knownKeys" | "now" | "limits">, scope: Scope) =>
  withDescription(
    createMiddleware<Env>(async (c, next) => {
      const { address } = c.get("arrival");
      const mayLookUp = () => refuseSpent(deps, c);
      c.set("operator", await authenticateOperator(deps, c.req.header("authorization"), scope, address, mayLookUp));
      await limitOperator(deps, c, next);
    }),
    {
      // Of a scheme that isn't OAuth 2 these are roles (OpenAPI 3.1, Security Requirement Object).
      security: [{ operatorKey: [scope] }],
      problems: {
        rate_limited: "Too many invalid keys were sent from this address, or too many requests with this key",
        operator_key_missing: "No operator key was sent",
        operator_key_invalid: "The key doesn't exist, was revoked or has expired",
        address_not_allowed: "The key may not be used from this address",
        scope_missing: `The key lacks the scope ${scope}`,
      },
    },
  );
