import { Hono } from "hono";
import type { Deps } from "../deps.ts";
import { getAllowList, setAllowList } from "../organization/allow-list.ts";
import { allowListAnswer, allowListRequest } from "./allow-list-schemas.ts";
import { requireAdmin } from "./auth.ts";
import type { Env } from "./context.ts";
import { answer, body, databaseProblems, describe, recordProblems } from "./describe.ts";
import { forRequest } from "./time-limit.ts";

const tags = ["Organizations"];
const problems = { ...databaseProblems, organization_not_found: "The organization was removed meanwhile" };

export const allowListRoutes = (deps: Deps) =>
  new Hono<Env>()
    .get(
      "/allow-list",
      describe({
        operationId: "getAllowList",
        summary: "From where may the organization's admin come?",
        tags,
        answers: { "200": answer("The networks", allowListAnswer) },
        problems,
      }),
      requireAdmin(deps, "read"),
      async (c) => c.json({ cidrs: await getAllowList(deps, c.get("actor")) }, 200),
    )
    .put(
      "/allow-list",
      describe({
        operationId: "setAllowList",
        summary: "Say from where the organization's admin may come",
        description: [
          "It holds for sign-in and for every request with a token, and has to hold the address that this request comes",
          "from. An empty list opens it.",
        ].join(" "),
        tags,
        answers: { "200": answer("The networks as they are now", allowListAnswer) },
        problems: { ...problems, ...recordProblems },
      }),
      requireAdmin(deps),
      body(allowListRequest),
      async (c) => {
        const { address } = c.get("arrival");
        return c.json(
          { cidrs: await setAllowList(forRequest(deps, c), c.get("actor"), c.req.valid("json").cidrs, address) },
          200,
        );
      },
    );
