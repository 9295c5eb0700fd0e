import { Hono } from "hono";
import type { Deps } from "../../deps.ts";
import { createOrganization } from "../../organization/create.ts";
import { getOrganization } from "../../organization/get.ts";
import { removeOrganization } from "../../organization/remove.ts";
import { updateOrganization } from "../../organization/update.ts";
import { requireAdmin } from "../edge/auth.ts";
import type { Env } from "../edge/context.ts";
import {
  answer,
  body,
  databaseProblems,
  describe,
  placeProblems,
  query,
  recordProblems,
} from "../contract/describe.ts";
import { confirmPassword } from "./confirm-password.ts";
import { optionalBody } from "../contract/optional-body.ts";
import { limitCreates, limitCredentials, limitReads } from "../edge/limits.ts";
import {
  createRequest,
  getQuery,
  organizationAnswer,
  organizationWithoutEmail,
  removeRequest,
  updateRequest,
} from "../contract/schemas.ts";
import { forRequest } from "../edge/time-limit.ts";

const organization = (description: string, differs?: Record<string, unknown>) =>
  answer(description, organizationAnswer, differs);
/** What `GET /org/get` answers with and who may ask, as the setting `ORG_LOOKUP` says. */
const lookUpOf = (deps: Deps) => ({
  found:
    deps.config.organizationLookUp === "minimal"
      ? answer("The organization, without its admin's email", organizationWithoutEmail)
      : organization("The organization"),
  allowed: deps.config.organizationLookUp === "admin" ? requireAdmin(deps, "read") : limitReads(deps),
});
const renamed = {
  organization_name: "acme-labs",
  connection_details: "Collection: org_acme-labs",
  updated_at: "2026-11-25T09:30:00.000Z",
};
const tags = ["Organizations"];
const busy = {
  ...databaseProblems,
  ...recordProblems,
  passwords_busy: "Too many passwords are waiting to be hashed",
  operation_pending: "The change was interrupted or is taking longer than a request may; try again",
};

export const organizationRoutes = (deps: Deps) =>
  new Hono<Env>()
    .post(
      "/create",
      describe({
        operationId: "createOrganization",
        summary: "Create an organization and its admin",
        tags,
        answers: { "201": organization("The new organization") },
        problems: {
          organization_name_taken: "The name already exists",
          email_taken: "The email already exists",
          tier_unavailable: "The database user lacks a right that the tier DEFAULT_TIER needs",
          quota_exceeded: "The deployment has reached its quota of organizations",
          ...busy,
        },
      }),
      limitCreates(deps),
      body(createRequest),
      async (c) => c.json(await createOrganization(forRequest(deps, c), c.req.valid("json")), 201),
    )
    .get(
      "/get",
      describe({
        operationId: "getOrganization",
        summary: "Look up an organization by name",
        tags,
        answers: { "200": lookUpOf(deps).found },
        problems: { ...databaseProblems, organization_not_found: "No organization has this name" },
      }),
      lookUpOf(deps).allowed,
      query(getQuery),
      async (c) => {
        const { organization_name } = c.req.valid("query");
        return c.json(await getOrganization(deps, organization_name, c.get("actor")?.organizationId), 200);
      },
    )
    .put(
      "/update",
      describe({
        operationId: "updateOrganization",
        summary: "Change the organization's name, email or password",
        description:
          "Either all changes are made or none. The documents stay with the organization when its name changes. With REQUIRE_CURRENT_PASSWORD a new email or password needs `current_password`.",
        tags,
        answers: { "200": organization("The updated organization", renamed) },
        problems: {
          organization_name_taken: "The name already exists",
          email_taken: "The email already exists",
          ...placeProblems,
          organization_not_found: "The organization was deleted in the meantime",
          ...busy,
        },
      }),
      requireAdmin(deps),
      body(updateRequest),
      confirmPassword(deps, ({ email, password }) => (email ?? password) !== undefined),
      // Only now: with nothing but a token nobody uses up what the admin may change.
      limitCredentials(deps),
      async (c) => c.json(await updateOrganization(forRequest(deps, c), c.get("actor"), c.req.valid("json")), 200),
    )
    .delete(
      "/delete",
      describe({
        operationId: "removeOrganization",
        summary: "Delete the organization, its admin and its documents",
        tags,
        answers: { "204": { description: "Deleted" } },
        problems: {
          ...databaseProblems,
          ...recordProblems,
          ...placeProblems,
          organization_not_found: "The organization was deleted in the meantime",
          operation_pending: busy.operation_pending,
        },
      }),
      requireAdmin(deps),
      optionalBody(removeRequest),
      confirmPassword(deps, () => true),
      async (c) => {
        await removeOrganization(forRequest(deps, c), c.get("actor"));
        return c.body(null, 204);
      },
    );
