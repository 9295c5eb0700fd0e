import { createMiddleware } from "hono/factory";
import type { Deps } from "../../deps.ts";
import { confirm } from "../../session/confirm.ts";
import { withDescription } from "../contract/describe.ts";
import type { Env } from "../edge/context.ts";
import { countPassword } from "../edge/limits.ts";
import { forRequest } from "../edge/time-limit.ts";

type Given = { email?: string; password?: string; current_password?: string };

/**
 * Lets a request of an admin pass who knows the password, where what it asks for needs that. A password that is sent counts as a
 * sign-in does: nobody who has a token finds out the password faster than without.
 */
export const confirmPassword = (deps: Deps, isDue: (given: Given) => boolean) =>
  withDescription(
    createMiddleware<Env>(async (c, next) => {
      const given = (c.req.valid as (target: "json") => Given)("json");
      const signedIn = c.get("signedIn");
      const check = () => confirm(forRequest(deps, c), signedIn, given.current_password, isDue(given));
      if (given.current_password === undefined) await check();
      else await countPassword(deps, c, signedIn.admin.email, check);
      await next();
    }),
    {
      problems: {
        current_password_required: "`current_password` is missing, and the session is older than 5 minutes",
        current_password_incorrect: "`current_password` is wrong",
        passwords_busy: "Too many passwords are waiting to be hashed",
      },
    },
  );
