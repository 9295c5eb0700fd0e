import { Hono } from "hono";
import type { Deps } from "../deps.ts";
import { refresh } from "../session/refresh.ts";
import { endOwnSession, listSessions } from "../session/sessions.ts";
import { callerOf } from "./address.ts";
import { requireAdmin } from "./auth.ts";
import type { Env } from "./context.ts";
import {
  answer,
  bodilessProblems,
  body,
  databaseProblems,
  describe,
  pathParameters,
  recordProblems,
} from "./describe.ts";
import { limitReads } from "./limits.ts";
import { refreshAnswer, refreshRequest, sessionPath, sessionsAnswer } from "./session-schemas.ts";
import { forRequest } from "./time-limit.ts";

const tags = ["Admins"];

export const sessionRoutes = (deps: Deps) =>
  new Hono<Env>()
    .post(
      "/refresh",
      describe({
        operationId: "refresh",
        summary: "Get a new access token without the password",
        description: [
          "A refresh token is good for one call, which gives the next one. One that comes a second time was copied, or",
          "its answer was lost: then the session is ended, all its tokens with it.",
        ].join(" "),
        tags,
        answers: { "200": answer("A new access token and a new refresh token", refreshAnswer) },
        problems: {
          ...databaseProblems,
          ...recordProblems,
          refresh_token_invalid: "It is none, too old, or its session was ended",
          refresh_token_reused: "It was used before; its session is ended by that",
          address_not_allowed: "The organization's allow-list doesn't hold the address",
        },
      }),
      limitReads(deps),
      body(refreshRequest),
      async (c) => c.json(await refresh(forRequest(deps, c), c.req.valid("json").refresh_token, callerOf(c)), 200),
    )
    .get(
      "/sessions",
      describe({
        operationId: "listSessions",
        summary: "Where is this admin signed in?",
        tags,
        answers: { "200": answer("The sessions, the latest used first", sessionsAnswer) },
        problems: databaseProblems,
      }),
      requireAdmin(deps, "read"),
      async (c) => c.json({ sessions: await listSessions(deps, c.get("actor")) }, 200),
    )
    .delete(
      "/sessions/:id",
      describe({
        operationId: "endSession",
        summary: "End one of this admin's sessions, all its tokens with it",
        tags,
        answers: { "204": { description: "Ended: here at once, in every other process within a second" } },
        problems: {
          ...databaseProblems,
          ...recordProblems,
          ...bodilessProblems,
          session_not_found: "The admin has no session of this id",
        },
      }),
      requireAdmin(deps),
      pathParameters(sessionPath),
      async (c) => {
        await endOwnSession(forRequest(deps, c), c.get("actor"), c.req.valid("param").id);
        return c.body(null, 204);
      },
    );
