import { Hono } from "hono";
import type { Deps } from "../deps.ts";
import { signIn } from "../session/sign-in.ts";
import { signOut, signOutEverywhere } from "../session/sign-out.ts";
import { whoIs } from "../session/who.ts";
import { requireAdmin } from "./auth.ts";
import type { Env } from "./context.ts";
import { answer, body, databaseProblems, describe } from "./describe.ts";
import { signInAnswer, signInRequest, whoAnswer } from "./schemas.ts";
import { forRequest } from "./time-limit.ts";

const tags = ["Admins"];
const ended = {
  tags,
  answers: { "204": { description: "Ended: here at once, in every other process within a second" } },
  problems: { ...databaseProblems, body_too_large: "There is a body, and it has more than MAX_BODY_BYTES" },
};

export const adminRoutes = (deps: Deps) =>
  new Hono<Env>()
    .post(
      "/login",
      describe({
        operationId: "signIn",
        summary: "Sign an organization's admin in",
        tags,
        answers: {
          "200": answer("An access token, to be sent as Authorization: Bearer TOKEN", signInAnswer),
        },
        problems: {
          ...databaseProblems,
          credentials_incorrect: "Incorrect email or password",
          passwords_busy: "Too many sign-ins are waiting",
        },
      }),
      body(signInRequest),
      async (c) => {
        c.header("Cache-Control", "no-store");
        return c.json(await signIn(forRequest(deps, c), c.req.valid("json")), 200);
      },
    )
    .get(
      "/me",
      describe({
        operationId: "whoAmI",
        summary: "Whose access token is it?",
        tags,
        answers: { "200": answer("The admin and the organization", whoAnswer) },
        problems: databaseProblems,
      }),
      requireAdmin(deps, "read"),
      async (c) => {
        c.header("Cache-Control", "no-store");
        return c.json(await whoIs(deps, c.get("actor")), 200);
      },
    )
    .post(
      "/logout",
      describe({ ...ended, operationId: "signOut", summary: "End the access token that this request is sent with" }),
      requireAdmin(deps),
      async (c) => {
        await signOut(deps, c.get("actor"));
        return c.body(null, 204);
      },
    )
    .post(
      "/logout-all",
      describe({ ...ended, operationId: "signOutEverywhere", summary: "End every access token of this admin" }),
      requireAdmin(deps),
      async (c) => {
        await signOutEverywhere(deps, c.get("actor"));
        return c.body(null, 204);
      },
    );
