import { Hono } from "hono";
import type { Deps } from "../../deps.ts";
import { refresh } from "../../session/refresh.ts";
import { endOwnSession, listSessions } from "../../session/sessions.ts";
import { callerOf } from "../edge/address.ts";
import { requireAdmin } from "../edge/auth.ts";
import type { Env } from "../edge/context.ts";
import {
  answer,
  bodilessProblems,
  body,
  databaseProblems,
  describe,
  pathParameters,
  recordProblems,
} from "../contract/describe.ts";
import { limitReads } from "../edge/limits.ts";
import { refreshAnswer, refreshRequest, sessionPath, sessionsAnswer } from "./session-schemas.ts";
import { forRequest } from "../edge/time-limit.ts";

const tags = ["Admins"];

export const sessionRoutes = (deps: Deps) =>
  new Hono<Env>()
    .post(
      "/refresh",
      describe({
        operationId: "refresh",
        summary: "Renew the session: exchange the refresh token for new tokens",
        description: [
          "A refresh token can be used once; the answer has the next one. If one is used a second time within",
          "REFRESH_LEEWAY_SECONDS (two tabs renewing at once), only the first request gets tokens. After that the token counts as",
          "stolen, and the session and all its tokens are ended.",
        ].join(" "),
        tags,
        answers: { "200": answer("A new access token and a new refresh token", refreshAnswer) },
        problems: {
          ...databaseProblems,
          ...recordProblems,
          refresh_token_invalid: "It is malformed or expired, or its session has ended",
          refresh_token_reused: "It was used before; the session is now ended",
          refresh_in_progress: "It was used moments ago, for example by another tab, which received the new token",
          address_not_allowed: "The organization's allow-list doesn't include your address",
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
        summary: "List this admin's sessions",
        tags,
        answers: { "200": answer("The sessions, most recently used first", sessionsAnswer) },
        problems: databaseProblems,
      }),
      requireAdmin(deps, "read"),
      async (c) => c.json({ sessions: await listSessions(deps, c.get("actor")) }, 200),
    )
    .delete(
      "/sessions/:id",
      describe({
        operationId: "endSession",
        summary: "End one of this admin's sessions and all its tokens",
        tags,
        answers: { "204": { description: "Ended: immediately in this process, within a second in all others" } },
        problems: {
          ...databaseProblems,
          ...recordProblems,
          ...bodilessProblems,
          session_not_found: "The admin has no session with this id",
        },
      }),
      requireAdmin(deps),
      pathParameters(sessionPath),
      async (c) => {
        await endOwnSession(forRequest(deps, c), c.get("actor"), c.req.valid("param").id);
        return c.body(null, 204);
      },
    );
