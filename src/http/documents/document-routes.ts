import { type Context, Hono } from "hono";
import * as z from "zod";
import type { Deps } from "../../deps.ts";
import { type Change, changeDocument } from "../../document/change.ts";
import { documentMissing } from "../../document/document.ts";
import { toldMax } from "../../document/insert.ts";
import { rememberedMax } from "../../document/idempotency.ts";
import { applyPatch, postDocuments, readPatch, readReplacement } from "../../document/post.ts";
import { aggregateDocuments, countDocuments, getDocument, limitMax, listDocuments } from "../../document/query.ts";
import { parseExtendedJson } from "../../lib/json/extended-json.ts";
import { etagOf, parsePathId, printPathId } from "../../tenant/document.ts";
import { idBytes, idBytesMax } from "../../tenant/document-id.ts";
import { isLarge, type TenantDocument } from "../../tenant/stored.ts";
import { requireTenant } from "../edge/auth.ts";
import { conditionHeaders, conditionOf, isKnown } from "../contract/conditions.ts";
import { answer, databaseProblems, describe, query } from "../contract/describe.ts";
import { changed, found, inserted, listed, many, one, queried, stored } from "./document-answers.ts";
import {
  aggregateAnswer,
  countAnswer,
  countRequest,
  documentSchema,
  exampleDocument,
  filterValuesMax,
  findRequest,
  listAnswer,
  listQuery,
  newDocuments,
  pathId,
  pipelineRequest,
  pipelineValuesMax,
} from "./document-schemas.ts";
import {
  documentBody,
  type ExtendedEnv,
  queryBody,
  readMembers,
  sendExtended,
  sendInserted,
  sendPage,
  sendPrinted,
} from "../contract/extended-json.ts";
import { signalOf } from "../edge/time-limit.ts";

const organizationOf = (c: Context<ExtendedEnv>) => c.get("actor").organizationId;
const keyOf = (c: Context<ExtendedEnv>) => organizationOf(c).toHexString();

const tags = ["Documents"];
export function documentRoutes(deps: Deps) {
  const tenant = requireTenant(deps);
  const reader = requireTenant(deps, "read");
  const inTime = (c: Context) => ({ ...deps, late: { signal: signalOf(c), afterMs: deps.config.requestTimeoutMs } });
  const largeOf = (c: Context<ExtendedEnv>) => deps.large.of(organizationOf(c), signalOf(c));
  const document = documentBody(documentSchema, { document: exampleDocument });
  const documents = documentBody(newDocuments, { one: exampleDocument, many });
  const patch = documentBody(documentSchema, { patch: { color: "red", weight: null } }, [
    "application/merge-patch+json",
    "application/json",
  ]);
  /** No document has an id that can't be stored: it isn't asked for, nor noted. */
  const idOf = (c: Context) => {
    const id = parsePathId(c.req.param("id") ?? "");
    if (idBytes(id) > idBytesMax) throw documentMissing();
    return id;
  };

  return new Hono<ExtendedEnv>()
    .post(
      "/",
      describe({
        operationId: "insertDocuments",
        summary: "Insert a document or an array of documents",
        description:
          "Extended JSON in and out. A document without `_id` gets an ObjectId. Several documents are inserted one by one. " +
          "With an `Idempotency-Key` the same request can be repeated for 24 hours and takes effect once; " +
          `it may hold ${rememberedMax} documents.`,
        tags,
        requestParams: { header: z.object({ "Idempotency-Key": z.string().max(255).optional() }) },
        answers: { "201": inserted },
        problems: {
          ...databaseProblems,
          ...stored,
          document_exists: `A document with this id already exists; when several were sent, \`errors\` names those that were rejected, ${toldMax} at most`,
          idempotency_key_reused: "The Idempotency-Key was sent with another request",
          write_in_doubt: changed.write_in_doubt,
        },
      }),
      tenant,
      documents,
      async (c) => {
        const key = c.req.header("idempotency-key");
        const { documents, isMany } = await postDocuments(deps, organizationOf(c), c.get("sent"), key, signalOf(c));
        const [first] = documents;
        if (isMany || !first) {
          return await sendInserted(c, keyOf(c), documents);
        }
        const location = `/org/documents/${encodeURIComponent(printPathId(first.id))}`;
        return await sendDocument(c, first, 201, { Location: location });
      },
    )
    .get(
      "/",
      describe({
        operationId: "listDocuments",
        summary: "List documents, page by page",
        tags,
        answers: {
          "200": answer("One page", listAnswer),
          "431": {
            description: "URL and headers are larger than 16 kB; send long queries to `POST /org/documents/find`",
          },
        },
        problems: listed,
      }),
      reader,
      query(listQuery),
      async (c) => {
        const { filter, projection, ...rest } = c.req.valid("query");
        const wanted = {
          ...rest,
          ...(filter !== undefined && { filter: parseExtendedJson(filter, "?filter") }),
          ...(projection !== undefined && { projection: parseExtendedJson(projection, "?projection") }),
        };
        return await sendPage(c, keyOf(c), await listDocuments(inTime(c), organizationOf(c), wanted, "?"));
      },
    )
    .post(
      "/find",
      describe({
        operationId: "findDocuments",
        summary: "List documents, with the query in the body",
        tags,
        answers: { "200": answer("One page", listAnswer) },
        problems: listed,
      }),
      reader,
      queryBody(findRequest, { page: { filter: { color: "red" }, sort: "-weight", limit: 10 } }, filterValuesMax),
      async (c) => {
        const sent = readMembers(c, ["filter", "sort", "projection", "limit", "cursor"]);
        return await sendPage(c, keyOf(c), await listDocuments(inTime(c), organizationOf(c), sent));
      },
    )
    .post(
      "/count",
      describe({
        operationId: "countDocuments",
        summary: "Count documents",
        tags,
        answers: { "200": answer("The number of matching documents", countAnswer) },
        problems: queried,
      }),
      reader,
      queryBody(countRequest, { some: { filter: { color: "red" } } }, filterValuesMax),
      async (c) => {
        const { filter } = readMembers(c, ["filter"]);
        return sendExtended(c, 200, await countDocuments(inTime(c), organizationOf(c), filter));
      },
    )
    .post(
      "/aggregate",
      describe({
        operationId: "aggregateDocuments",
        summary: `Run an aggregation pipeline over the organization's documents (at most ${limitMax} results)`,
        tags,
        answers: { "200": answer("The results", aggregateAnswer) },
        problems: queried,
      }),
      reader,
      queryBody(
        pipelineRequest,
        { group: { pipeline: [{ $group: { _id: "$color", count: { $sum: 1 } } }] } },
        pipelineValuesMax,
      ),
      async (c) => {
        const { pipeline } = readMembers(c, ["pipeline"]);
        return await sendPage(c, keyOf(c), await aggregateDocuments(inTime(c), organizationOf(c), pipeline));
      },
    )
    .get(
      "/:id",
      describe({
        operationId: "getDocument",
        summary: "Get a document",
        tags,
        requestParams: { path: pathId, header: conditionHeaders },
        answers: {
          "200": one("The document"),
          "304": { description: "Not modified: If-None-Match contains its ETag" },
        },
        problems: {
          ...found,
          precondition_failed: changed.precondition_failed,
          invalid_request: "A header is invalid",
        },
      }),
      reader,
      async (c) => {
        const document = await getDocument(deps, organizationOf(c), idOf(c));
        return isKnown(c, document)
          ? c.body(null, 304, { ETag: etagOf(document.meta) })
          : await sendDocument(c, document);
      },
    )
    .put(
      "/:id",
      describe({
        operationId: "replaceDocument",
        summary: "Replace a document",
        tags,
        requestParams: { path: pathId, header: conditionHeaders },
        answers: { "200": one("The updated document") },
        problems: { ...changed, ...stored },
      }),
      tenant,
      document,
      async (c) => {
        const id = idOf(c);
        const replacement = await readReplacement(largeOf(c), c.get("sent"), id);
        return await sendDocument(c, await change(c, id, replacement));
      },
    )
    .patch(
      "/:id",
      describe({
        operationId: "patchDocument",
        summary: "Change some fields of a document (JSON Merge Patch, RFC 7396)",
        tags,
        requestParams: { path: pathId, header: conditionHeaders },
        answers: { "200": one("The updated document") },
        problems: { ...changed, ...stored },
      }),
      tenant,
      patch,
      async (c) => {
        const id = idOf(c);
        const patch = await readPatch(largeOf(c), c.get("sent"), id);
        return await sendDocument(c, await change(c, id, (current) => applyPatch(largeOf(c), current, patch)));
      },
    )
    .delete(
      "/:id",
      describe({
        operationId: "removeDocument",
        summary: "Delete a document",
        tags,
        requestParams: { path: pathId, header: conditionHeaders },
        answers: { "204": { description: "Deleted" } },
        problems: {
          ...changed,
          body_too_large: "The request has a body, and it is too large",
          invalid_request: "A header is invalid",
        },
      }),
      tenant,
      async (c) => {
        await changeDocument(deps, organizationOf(c), idOf(c), conditionOf(c), () => null);
        return c.body(null, 204);
      },
    );

  async function sendDocument(
    c: Context<ExtendedEnv>,
    document: TenantDocument,
    status: 200 | 201 = 200,
    more: Record<string, string> = {},
  ) {
    const { id, fields, meta } = document;
    const headers = { ETag: etagOf(meta), ...more };
    if (isLarge(fields)) {
      // What was written is answered in any case.
      const isRead = c.req.method === "GET" || c.req.method === "HEAD";
      return sendPrinted(c, status, await largeOf(c).show(id, fields, isRead), headers);
    }
    return sendExtended(c, status, { _id: id, ...fields }, headers);
  }

  async function change(c: Context<ExtendedEnv>, id: unknown, to: Change) {
    return (await changeDocument(deps, organizationOf(c), id, conditionOf(c), to))!;
  }
}
