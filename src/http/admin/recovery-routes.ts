import { Hono } from "hono";
import * as z from "zod";
import type { Deps } from "../../deps.ts";
import { useRecovery } from "../../session/recovery/use-recovery.ts";
import { body, databaseProblems, describe, recordProblems } from "../contract/describe.ts";
import { newPassword } from "../contract/schemas.ts";
import { callerOf } from "../edge/address.ts";
import type { Env } from "../edge/context.ts";
import { admitEmail, limitSignInAddresses } from "../edge/limits.ts";
import { forRequest } from "../edge/time-limit.ts";
import { policy, page } from "./recovery-page.ts";

const recoveryRequest = z
  .strictObject({
    token: z
      .string()
      .min(1, "must not be empty")
      .max(200, "must have at most 200 characters")
      .meta({
        description: "Made by an operator; can be used once, within 30 minutes",
        example: `crv_${"A".repeat(43)}`,
      }),
    password: newPassword,
  })
  .meta({ id: "Recovery" });

const recoveryPage = { schema: z.string().meta({ id: "RecoveryPage" }), example: "<!doctype html>…" };
const tags = ["Admins"];

export const recoveryRoutes = (deps: Deps) =>
  new Hono<Env>()
    .get(
      "/recovery",
      describe({
        operationId: "showRecovery",
        summary: "A page on which an admin sets a new password; a recovery link leads to it",
        tags,
        answers: { "200": { description: "The page", content: { "text/html": recoveryPage } } },
        problems: { starting: databaseProblems.starting },
      }),
      (c) => c.html(page, 200, { "Content-Security-Policy": policy }),
    )
    .post(
      "/recovery",
      describe({
        operationId: "useRecovery",
        summary: "Set a new password with a recovery token",
        description: "All sessions of the admin are ended; sign in with the new password.",
        tags,
        answers: { "204": { description: "The new password is set" } },
        problems: {
          ...databaseProblems,
          ...recordProblems,
          recovery_token_invalid: "The token doesn't exist, or it was used, replaced or has expired",
          organization_suspended: "The organization is suspended; the token isn't used up",
          address_not_allowed: "The organization's allow-list doesn't include your address; the token isn't used up",
          passwords_busy: "Too many passwords are waiting to be hashed",
          rate_limited: "Too many attempts from this address",
        },
      }),
      limitSignInAddresses(deps),
      body(recoveryRequest),
      async (c) => {
        const email = await useRecovery(forRequest(deps, c), c.req.valid("json"), callerOf(c));
        // Else what was tried with the lost password, or by others, would be in the way of the new one.
        await admitEmail(deps, c, email);
        return c.body(null, 204);
      },
    );
