import { Hono } from "hono";
import type { Deps } from "../deps.ts";
import { signIn } from "../session/sign-in.ts";
import type { Env } from "./context.ts";
import { answer, body, databaseProblems, describe } from "./describe.ts";
import { forRequest } from "./time-limit.ts";
import { signInAnswer, signInRequest } from "./schemas.ts";

export const adminRoutes = (deps: Deps) =>
  new Hono<Env>().post(
    "/login",
    describe({
      operationId: "signIn",
      summary: "Sign an organization's admin in",
      tags: ["Admins"],
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
  );
