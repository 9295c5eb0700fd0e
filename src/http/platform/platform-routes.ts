import { Hono } from "hono";
import { ObjectId } from "mongodb";
import type { Deps } from "../../deps.ts";
import type { Operation, OperationKind } from "../../operation/operation.ts";
import { list, type OperationQuery } from "../../operation/list.ts";
import { viewOperation } from "../../operation/view.ts";
import { cancelOperation, getOperation, moveOrganization, resumeOperation } from "../../organization/move.ts";
import type { Env } from "../edge/context.ts";
import {
  answer,
  bodilessProblems,
  body,
  databaseProblems,
  describe,
  pathParameters,
  placeProblems,
  query,
  recordProblems,
} from "../contract/describe.ts";
import { requireOperator } from "../edge/operator-auth.ts";
import { idPath, moveRequest, operationAnswer, operationsAnswer, operationsQuery } from "./platform-schemas.ts";
import { forRequest } from "../edge/time-limit.ts";

const tags = ["Platform"];
const found = { ...databaseProblems, operation_not_found: "No operation has this id" };

export function platformRoutes(deps: Deps) {
  const reader = requireOperator(deps, "organizations:read");
  const mover = requireOperator(deps, "moves:write");
  const view = (operation: Operation) => viewOperation(deps.flows, operation, deps.now());
  const locate = (operation: { _id: ObjectId }) => ({
    Location: `/platform/operations/${operation._id.toHexString()}`,
  });

  return new Hono<Env>()
    .post(
      "/organizations/:id/moves",
      describe({
        operationId: "moveOrganization",
        summary: "Move an organization to another tier while it is in use",
        tags,
        answers: { "202": answer("The operation that moves it", operationAnswer) },
        problems: {
          ...databaseProblems,
          ...recordProblems,
          ...placeProblems,
          organization_not_found: "No organization has this id",
          move_pointless: "It is already in this tier",
          tier_unavailable: "The database user lacks a right that one of the two tiers needs",
          quota_exceeded: "The organization has more documents or bytes than the tier's quota allows",
          operation_open: "Another operation of the organization is not finished yet",
        },
      }),
      mover,
      pathParameters(idPath),
      body(moveRequest),
      async (c) => {
        const organizationId = new ObjectId(c.req.valid("param").id);
        const operation = await moveOrganization(forRequest(deps, c), organizationId, c.req.valid("json").tier);
        return c.json(view(operation), 202, locate(operation));
      },
    )
    .get(
      "/operations",
      describe({
        operationId: "listOperations",
        summary: "List operations, newest first",
        tags,
        answers: { "200": answer("One page", operationsAnswer) },
        problems: databaseProblems,
      }),
      reader,
      query(operationsQuery),
      async (c) => {
        const { organization_id, cursor, kind, status, limit } = c.req.valid("query");
        const wanted: OperationQuery = {
          limit,
          ...(organization_id && { organization_id: new ObjectId(organization_id) }),
          ...(kind && { kind: kind as OperationKind }),
          ...(status && { status }),
          ...(cursor && { after: new ObjectId(cursor) }),
        };
        const operations = await list(deps.db, wanted);
        const last = operations.length === limit ? operations.at(-1) : undefined;
        return c.json({ operations: operations.map(view), next_cursor: last?._id.toHexString() ?? null }, 200);
      },
    )
    .get(
      "/operations/:id",
      describe({
        operationId: "getOperation",
        summary: "Show an operation: its phase, progress and errors",
        tags,
        answers: { "200": answer("The operation", operationAnswer) },
        problems: found,
      }),
      reader,
      pathParameters(idPath),
      async (c) => c.json(view(await getOperation(deps, new ObjectId(c.req.valid("param").id))), 200),
    )
    .post(
      "/operations/:id/resume",
      describe({
        operationId: "resumeOperation",
        summary: "Resume a stopped operation",
        tags,
        answers: { "202": answer("The operation was resumed", operationAnswer) },
        problems: { ...found, ...recordProblems, ...bodilessProblems, operation_state: "The operation isn't stopped" },
      }),
      mover,
      pathParameters(idPath),
      async (c) => c.json(view(await resumeOperation(forRequest(deps, c), new ObjectId(c.req.valid("param").id))), 202),
    )
    .post(
      "/operations/:id/cancel",
      describe({
        operationId: "cancelOperation",
        summary: "Cancel an operation: undo it if it hasn't taken effect yet, otherwise complete it",
        tags,
        answers: { "202": answer("The operation is being undone or completed", operationAnswer) },
        problems: {
          ...found,
          ...recordProblems,
          ...bodilessProblems,
          operation_state: "The operation has ended, or is a deletion",
        },
      }),
      mover,
      pathParameters(idPath),
      async (c) => c.json(view(await cancelOperation(forRequest(deps, c), new ObjectId(c.req.valid("param").id))), 202),
    );
}
