import { Hono } from "hono";
import type { Deps } from "../../deps.ts";
import { createIndex, dropIndex, listIndexes } from "../../document/indexes.ts";
import { invalid, under } from "../../lib/invalid.ts";
import { namesRefused } from "../../lib/json/json-reader.ts";
import { tenantIndexesMax } from "../../tenant/place/indexes.ts";
import { requireTenant } from "../edge/auth.ts";
import type { Env } from "../edge/context.ts";
import { answer, body, databaseProblems, describe, recordProblems, pathParameters } from "../contract/describe.ts";
import { forRequest } from "../edge/time-limit.ts";
import { indexesAnswer, indexPath, indexRequest, indexSchema } from "./document-schemas.ts";

const tags = ["Documents"];
const changed = {
  ...databaseProblems,
  ...recordProblems,
  operation_pending:
    "Another change of the organization is not finished yet, or this one takes longer than a request may",
  organization_not_found: "The organization was deleted in the meantime",
};

/** The indexes of an organization's own, the same in every tier. */
export function indexRoutes(deps: Deps) {
  const tenant = requireTenant(deps);
  const reader = requireTenant(deps, "read");
  return new Hono<Env>()
    .get(
      "/",
      describe({
        operationId: "listIndexes",
        summary: "List the organization's indexes",
        tags,
        answers: { "200": answer("The indexes, not counting those on `_id` and `created_at`", indexesAnswer) },
        problems: databaseProblems,
      }),
      reader,
      async (c) => c.json({ indexes: await listIndexes(deps, c.get("actor").organizationId) }, 200),
    )
    .post(
      "/",
      describe({
        operationId: "createIndex",
        summary: `Create an index (at most ${tenantIndexesMax}; in the tier starter, STARTER_INDEXES)`,
        tags,
        answers: { "201": answer("The index", indexSchema) },
        problems: {
          ...changed,
          index_exists: "Another index has this name or these fields",
          index_unfit: "A document has arrays in two of these fields, or something else that the database can't index",
          index_violated: "The index is to be unique, but two documents have the same value",
          index_limit:
            "The organization has as many indexes as its tier allows, or the shared collection keeps its remaining room for others",
          index_busy: "Another index is being built in the shared collection, which builds one at a time",
        },
      }),
      tenant,
      body(indexRequest),
      async (c) => {
        // What was validated has lost one of them.
        const refused = Object.keys((await c.req.json()).key).find((name) => namesRefused.has(name));
        if (refused) throw invalid(under("#/key", refused), "is not allowed as a field name", "invalid_name");
        const index = c.req.valid("json");
        return c.json(await createIndex(forRequest(deps, c), c.get("actor").organizationId, index), 201);
      },
    )
    .delete(
      "/:name",
      describe({
        operationId: "dropIndex",
        summary: "Drop an index",
        tags,
        answers: { "204": { description: "Dropped" } },
        problems: {
          ...changed,
          index_not_found: "No index has this name",
          body_too_large: "The request has a body, and it is too large",
        },
      }),
      tenant,
      pathParameters(indexPath),
      async (c) => {
        await dropIndex(forRequest(deps, c), c.get("actor").organizationId, c.req.valid("param").name);
        return c.body(null, 204);
      },
    );
}
