import { Hono } from "hono";
import type { Deps } from "../deps.ts";
import { createIndex, dropIndex, listIndexes } from "../document/indexes.ts";
import { invalid, under } from "../lib/invalid.ts";
import { namesRefused } from "../lib/json-reader.ts";
import { tenantIndexesMax } from "../tenant/indexes.ts";
import { requireTenant } from "./auth.ts";
import type { Env } from "./context.ts";
import { answer, body, databaseProblems, describe, recordProblems, pathParameters } from "./describe.ts";
import { forRequest } from "./time-limit.ts";
import { indexesAnswer, indexPath, indexRequest, indexSchema } from "./document-schemas.ts";

const tags = ["Documents"];
const changed = {
  ...databaseProblems,
  ...recordProblems,
  operation_pending: "Another change of the organization isn't finished, or this takes longer than a request may",
  organization_not_found: "The organization was removed meanwhile",
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
        answers: { "200": answer("Beside those on `_id` and `created_at`", indexesAnswer) },
        problems: databaseProblems,
      }),
      reader,
      async (c) => c.json({ indexes: await listIndexes(deps, c.get("actor").organizationId) }, 200),
    )
    .post(
      "/",
      describe({
        operationId: "createIndex",
        summary: `Make an index (at most ${tenantIndexesMax}, in the tier starter STARTER_INDEXES)`,
        tags,
        answers: { "201": answer("It is there", indexSchema) },
        problems: {
          ...changed,
          index_exists: "There is another one of this name or of these fields",
          index_unfit:
            "A document has arrays in two of these fields, or what else the database can make no such index of",
          index_violated: "It is to be unique, and the documents aren't",
          index_limit: `There are as many as the tier allows, or the shared collection keeps the room that it has left for others`,
          index_busy: "Another one is being made in the shared collection, where one is made at a time",
        },
      }),
      tenant,
      body(indexRequest),
      async (c) => {
        // What was validated has lost one of them.
        const refused = Object.keys((await c.req.json()).key).find((name) => namesRefused.has(name));
        if (refused) throw invalid(under("#/key", refused), "is a name that no field can have", "invalid_name");
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
        answers: { "204": { description: "It is gone" } },
        problems: {
          ...changed,
          index_not_found: "There is no index of this name",
          body_too_large: "There is a body, and it is too large",
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
