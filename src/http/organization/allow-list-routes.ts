import { Hono } from "hono";
import type { Deps } from "../../deps.ts";
import { getAllowList, setAllowList } from "../../organization/allow-list.ts";
import { allowListAnswer, allowListRequest } from "./allow-list-schemas.ts";
import { requireAdmin } from "../edge/auth.ts";
import type { Env } from "../edge/context.ts";
import { answer, body, databaseProblems, describe, recordProblems } from "../contract/describe.ts";
import { forRequest } from "../edge/time-limit.ts";

const tags = ["Organizations"];
const problems = { ...databaseProblems, organization_not_found: "The organization was deleted in the meantime" };

export const allowListRoutes = (deps: Deps) =>
  new Hono<Env>()
    .get(
      "/allow-list",
      describe({
        operationId: "getAllowList",
        summary: "Show the networks the admin may use the API from",
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
        summary: "Set the networks the admin may use the API from",
        description: [
          "Applies to sign-in and to every request with a token. The list has to include the address that this request",
          "comes from. An empty list allows every address.",
        ].join(" "),
        tags,
        answers: { "200": answer("The updated networks", allowListAnswer) },
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
