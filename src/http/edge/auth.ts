import { createMiddleware } from "hono/factory";
import type { Deps } from "../../deps.ts";
import { authenticate, authenticateOften } from "../../session/authenticate.ts";
import type { Intent } from "../../session/session.ts";
import type { Env } from "./context.ts";
import { placeProblems, withDescription } from "../contract/describe.ts";
import { limitOrganization, organizationProblems } from "./limits.ts";

const security = [{ accessToken: [] }];
const tokenProblems = {
  ...organizationProblems,
  token_missing: "No access token was sent",
  token_invalid:
    "The token is malformed, or it has expired (`reason` is `expired`: renew it), or it was revoked or its organization no longer exists (`ended`: sign in again)",
  revocations_unknown: "Whether the token was revoked can't be checked at the moment",
  address_not_allowed: "The organization's allow-list doesn't include your address",
};

type AuthDeps = Pick<Deps, "lookUp" | "tokens" | "revocations" | "limits">;

/** Lets a request pass only with an admin's access token, within its organization's limits, and says who it is. */
export const requireAdmin = (deps: AuthDeps, intent: Intent = "write") =>
  withDescription(
    createMiddleware<Env>(async (c, next) => {
      const addressOf = () => c.get("arrival").address;
      const signedIn = await authenticate(deps, c.req.header("authorization"), intent, addressOf);
      c.set("signedIn", signedIn);
      c.set("actor", signedIn.actor);
      await limitOrganization(deps, c, next);
    }),
    { security, problems: tokenProblems },
  );

/** The same for requests to an organization's documents: there are many of these, so it asks the database rarely. */
export const requireTenant = (deps: AuthDeps & Pick<Deps, "leases">, intent: Intent = "write") =>
  withDescription(
    createMiddleware<Env>(async (c, next) => {
      const addressOf = () => c.get("arrival").address;
      c.set("actor", await authenticateOften(deps, c.req.header("authorization"), intent, addressOf));
      await limitOrganization(deps, c, next);
    }),
    {
      security,
      problems: {
        ...tokenProblems,
        tenant_gone: "The organization was deleted in the meantime",
        ...placeProblems,
        tenant_moving: "The organization is being moved, and the request would have had to wait too long",
        documents_busy: "Too many requests of all organizations together are reading or writing documents",
      },
    },
  );
