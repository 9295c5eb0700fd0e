import { Hono } from "hono";
import type { Deps } from "../../deps.ts";
import { getUsage } from "../../organization/usage.ts";
import { requireAdmin } from "../edge/auth.ts";
import type { Env } from "../edge/context.ts";
import { answer, databaseProblems, describe } from "../contract/describe.ts";
import { usageAnswer } from "../contract/schemas.ts";

export const usageRoutes = (deps: Deps) =>
  new Hono<Env>().get(
    "/usage",
    describe({
      operationId: "getUsage",
      summary: "Show the organization's usage and quotas",
      tags: ["Organizations"],
      answers: { "200": answer("Documents and bytes in use, with the quotas of the tier", usageAnswer) },
      problems: { ...databaseProblems, organization_not_found: "The organization was deleted in the meantime" },
    }),
    requireAdmin(deps, "read"),
    async (c) => c.json(await getUsage(deps, c.get("actor").organizationId), 200),
  );
