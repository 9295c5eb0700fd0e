import { Hono } from "hono";
import type { Deps } from "../deps.ts";
import { createOrganization } from "../organization/create.ts";
import { getOrganization } from "../organization/get.ts";
import { removeOrganization } from "../organization/remove.ts";
import { updateOrganization } from "../organization/update.ts";
import { requireAdmin } from "./auth.ts";
import type { Env } from "./context.ts";
import { answer, body, databaseProblems, describe, query } from "./describe.ts";
import { createRequest, getQuery, organizationAnswer, updateRequest } from "./schemas.ts";
import { forRequest } from "./time-limit.ts";

const organization = (description: string, differs?: Record<string, unknown>) =>
  answer(description, organizationAnswer, differs);
const renamed = {
  organization_name: "acme-labs",
  connection_details: "Collection: org_acme-labs",
  updated_at: "2026-11-25T09:30:00.000Z",
};
const tags = ["Organizations"];
const busy = {
  ...databaseProblems,
  passwords_busy: "Too many passwords wait to be hashed",
  operation_pending: "The change was interrupted, or takes longer than a request may; try again",
};

export const organizationRoutes = (deps: Deps) =>
  new Hono<Env>()
    .post(
      "/create",
      describe({
        operationId: "createOrganization",
        summary: "Make an organization and its admin",
        tags,
        answers: { "201": organization("The organization, with a place of its own") },
        problems: {
          organization_name_taken: "The name already exists",
          email_taken: "The email already exists",
          ...busy,
        },
      }),
      body(createRequest),
      async (c) => c.json(await createOrganization(forRequest(deps, c), c.req.valid("json")), 201),
    )
    .get(
      "/get",
      describe({
        operationId: "getOrganization",
        summary: "Look an organization up by its name",
        tags,
        answers: { "200": organization("The organization") },
        problems: { ...databaseProblems, organization_not_found: "There is no organization of this name" },
      }),
      query(getQuery),
      async (c) => c.json(await getOrganization(deps, c.req.valid("query").organization_name), 200),
    )
    .put(
      "/update",
      describe({
        operationId: "updateOrganization",
        summary: "Change the name, the email or the password",
        description: "All that is asked, or nothing. A new name takes the documents along.",
        tags,
        answers: { "200": organization("The organization as it is now", renamed) },
        problems: {
          organization_name_taken: "The name already exists",
          email_taken: "The email already exists",
          organization_not_found: "The organization was removed meanwhile",
          ...busy,
        },
      }),
      requireAdmin(deps),
      body(updateRequest),
      async (c) => c.json(await updateOrganization(forRequest(deps, c), c.get("actor"), c.req.valid("json")), 200),
    )
    .delete(
      "/delete",
      describe({
        operationId: "removeOrganization",
        summary: "Remove the organization, its admin and its documents",
        tags,
        answers: { "204": { description: "It is gone" } },
        problems: {
          ...databaseProblems,
          body_too_large: "There is a body, and it has more than MAX_BODY_BYTES",
          organization_not_found: "It was removed meanwhile",
          operation_pending: busy.operation_pending,
        },
      }),
      requireAdmin(deps),
      async (c) => {
        await removeOrganization(deps, c.get("actor"));
        return c.body(null, 204);
      },
    );
