import { Hono } from "hono";
import type { Deps } from "../../deps.ts";
import { signIn } from "../../session/sign-in.ts";
import { signOut, signOutEverywhere } from "../../session/sign-out.ts";
import { viewSignedIn } from "../../session/signed-in.ts";
import { callerOf } from "../edge/address.ts";
import { requireAdmin } from "../edge/auth.ts";
import type { Env } from "../edge/context.ts";
import { answer, bodilessProblems, body, databaseProblems, describe, recordProblems } from "../contract/describe.ts";
import { limitSignInAddresses, limitSignIns } from "../edge/limits.ts";
import { signInAnswer, signInRequest, whoAnswer } from "../contract/schemas.ts";
import { forRequest } from "../edge/time-limit.ts";

const tags = ["Admins"];
const ended = {
  tags,
  answers: { "204": { description: "Ended: immediately in this process, within a second in all others" } },
  problems: {
    ...databaseProblems,
    ...recordProblems,
    ...bodilessProblems,
  },
};

export const adminRoutes = (deps: Deps) =>
  new Hono<Env>()
    .post(
      "/login",
      describe({
        operationId: "signIn",
        summary: "Sign in as an organization's admin",
        tags,
        answers: {
          "200": answer(
            "An access token to send as `Authorization: Bearer TOKEN`, and a refresh token to obtain the next one",
            signInAnswer,
          ),
        },
        problems: {
          ...databaseProblems,
          ...recordProblems,
          credentials_incorrect: "Incorrect email or password",
          organization_suspended: "The password is correct, but the organization is suspended",
          address_not_allowed:
            "The password is correct, but the organization's allow-list doesn't include your address",
          passwords_busy: "Too many sign-ins are waiting",
        },
      }),
      limitSignInAddresses(deps),
      body(signInRequest),
      limitSignIns(deps),
      async (c) => {
        return c.json(await signIn(forRequest(deps, c), c.req.valid("json"), callerOf(c)), 200);
      },
    )
    .get(
      "/me",
      describe({
        operationId: "whoAmI",
        summary: "Show who the access token belongs to",
        tags,
        answers: { "200": answer("The admin and the organization", whoAnswer) },
        problems: databaseProblems,
      }),
      requireAdmin(deps, "read"),
      (c) => c.json(viewSignedIn(c.get("signedIn")), 200),
    )
    .post(
      "/logout",
      describe({ ...ended, operationId: "signOut", summary: "Sign out: end the current session" }),
      requireAdmin(deps),
      async (c) => {
        await signOut(forRequest(deps, c), c.get("actor"));
        return c.body(null, 204);
      },
    )
    .post(
      "/logout-all",
      describe({
        ...ended,
        operationId: "signOutEverywhere",
        summary: "Sign out everywhere: end all sessions of this admin",
      }),
      requireAdmin(deps),
      async (c) => {
        await signOutEverywhere(forRequest(deps, c), c.get("actor"));
        return c.body(null, 204);
      },
    );
