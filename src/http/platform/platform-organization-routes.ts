import { Hono } from "hono";
import { ObjectId } from "mongodb";
import type { Deps } from "../../deps.ts";
import { setAllowListOf } from "../../organization/allow-list.ts";
import { showOrganization } from "../../organization/get.ts";
import { viewForOperators } from "../../organization/organization.ts";
import { listPage } from "../../organization/all/for-operators.ts";
import { usageOf } from "../../organization/usage.ts";
import { recoverOf } from "../../session/recovery/create-recovery.ts";
import { reactivateOrganization, revokeTokens, suspendOrganization } from "../../session/suspend.ts";
import { allowListRequest } from "../organization/allow-list-schemas.ts";
import type { Env } from "../edge/context.ts";
import {
  answer,
  bodilessProblems,
  body,
  databaseProblems,
  describe,
  pathParameters,
  query,
  recordProblems,
} from "../contract/describe.ts";
import { requireOperator } from "../edge/operator-auth.ts";
import {
  operatorsAnswer,
  operatorsAnswerWithUsage,
  organizationsAnswer,
  organizationsQuery,
  recoveryAnswer,
  suspendRequest,
} from "./platform-organization-schemas.ts";
import { idPath } from "./platform-schemas.ts";
import { forRequest } from "../edge/time-limit.ts";

const tags = ["Platform"];
const found = { ...databaseProblems, organization_not_found: "No organization has this id" };
const suspended = {
  status: "suspended",
  suspension: { at: "2026-11-25T09:30:00.000Z", reason: "The invoice of October is not paid" },
};
const within = "immediately in this process, within a second in all others";

export function platformOrganizationRoutes(deps: Deps) {
  const reader = requireOperator(deps, "organizations:read");
  const writer = requireOperator(deps, "organizations:write");

  return new Hono<Env>()
    .get(
      "/organizations",
      describe({
        operationId: "listOrganizations",
        summary: "List organizations with their admins' emails, oldest first",
        tags,
        answers: { "200": answer("One page", organizationsAnswer) },
        problems: databaseProblems,
      }),
      reader,
      query(organizationsQuery),
      async (c) => {
        const { tier, status, region, name_prefix, cursor, limit } = c.req.valid("query");
        const page = await listPage(deps.db, {
          limit,
          ...(tier && { tier }),
          ...(status && { status }),
          ...(region && { region }),
          ...(name_prefix && { name_prefix: name_prefix.toLowerCase() }),
          ...(cursor && { after: new ObjectId(cursor) }),
        });
        const last = page.length === limit ? page.at(-1) : undefined;
        return c.json({ organizations: page.map(viewForOperators), next_cursor: last?._id.toHexString() ?? null }, 200);
      },
    )
    .get(
      "/organizations/:id",
      describe({
        operationId: "showOrganization",
        summary: "Show an organization in any status, with its admin's email",
        tags,
        answers: { "200": answer("The organization", operatorsAnswerWithUsage) },
        problems: found,
      }),
      reader,
      pathParameters(idPath),
      async (c) => {
        const organization = await showOrganization(deps, new ObjectId(c.req.valid("param").id));
        return c.json({ ...viewForOperators(organization), ...(await usageOf(deps, organization)) }, 200);
      },
    )
    .post(
      "/organizations/:id/suspend",
      describe({
        operationId: "suspendOrganization",
        summary: "Suspend an organization",
        description: `Its tokens end ${within}, and sign-in is refused. Its documents are kept, and it can still be moved.`,
        tags,
        answers: {
          "200": answer("The organization is suspended (it may have been before)", operatorsAnswer, suspended),
        },
        problems: { ...found, ...recordProblems },
      }),
      writer,
      pathParameters(idPath),
      body(suspendRequest),
      async (c) => {
        const { reason = null } = c.req.valid("json");
        const id = new ObjectId(c.req.valid("param").id);
        return c.json(viewForOperators(await suspendOrganization(forRequest(deps, c), id, reason)), 200);
      },
    )
    .put(
      "/organizations/:id/allow-list",
      describe({
        operationId: "setAllowListOf",
        summary: "Set the networks an organization's admin may use the API from, for example after a lock-out",
        description: "An empty list allows every address.",
        tags,
        answers: { "200": answer("The updated organization", operatorsAnswer, { allow_list: ["192.0.2.0/24"] }) },
        problems: { ...found, ...recordProblems },
      }),
      writer,
      pathParameters(idPath),
      body(allowListRequest),
      async (c) => {
        const id = new ObjectId(c.req.valid("param").id);
        return c.json(viewForOperators(await setAllowListOf(forRequest(deps, c), id, c.req.valid("json").cidrs)), 200);
      },
    )
    .post(
      "/organizations/:id/reactivate",
      describe({
        operationId: "reactivateOrganization",
        summary: "Reactivate a suspended organization",
        description: "Its admin can sign in again; tokens from before the suspension stay ended.",
        tags,
        answers: { "200": answer("The organization is active (it may have been before)", operatorsAnswer) },
        problems: { ...found, ...recordProblems, ...bodilessProblems },
      }),
      writer,
      pathParameters(idPath),
      async (c) =>
        c.json(
          viewForOperators(await reactivateOrganization(forRequest(deps, c), new ObjectId(c.req.valid("param").id))),
          200,
        ),
    )
    .post(
      "/organizations/:id/revoke-tokens",
      describe({
        operationId: "revokeTokens",
        summary: "End all tokens and sessions of an organization's admin",
        description: "A recovery token that was made for the admin is void, too.",
        tags,
        answers: { "204": { description: `Ended ${within}` } },
        problems: { ...found, ...recordProblems, ...bodilessProblems },
      }),
      writer,
      pathParameters(idPath),
      async (c) => {
        await revokeTokens(forRequest(deps, c), new ObjectId(c.req.valid("param").id));
        return c.body(null, 204);
      },
    )
    .post(
      "/organizations/:id/recovery",
      describe({
        operationId: "recoverPassword",
        summary: "Make a token with which an organization's admin can set a new password, once, within 30 minutes",
        description:
          "It becomes invalid when a newer token is made, when the admin's password or email changes, when an operator ends all tokens, or when the organization is deleted.",
        tags,
        answers: { "201": answer("The token, which is shown only once", recoveryAnswer) },
        problems: {
          ...found,
          ...recordProblems,
          ...bodilessProblems,
          admin_not_found: "The organization has no admin",
          organization_suspended: "The organization is suspended; reactivate it first",
        },
      }),
      requireOperator(deps, "recovery:write"),
      pathParameters(idPath),
      async (c) => c.json(await recoverOf(forRequest(deps, c), new ObjectId(c.req.valid("param").id)), 201),
    );
}
