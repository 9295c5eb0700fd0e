import { type Context, Hono } from "hono";
import * as z from "zod";
import type { Deps } from "../deps.ts";
import { type Change, changeDocument } from "../document/change.ts";
import { documentMissing } from "../document/document.ts";
import { applyPatch, postDocuments, readPatch, readReplacement } from "../document/post.ts";
import { aggregateDocuments, countDocuments, getDocument, limitMax, listDocuments } from "../document/query.ts";
import { parseExtendedJson } from "../lib/extended-json.ts";
import { etagOf, parsePathId, printPathId } from "../tenant/document.ts";
import { idBytes, idBytesMax } from "../tenant/document-id.ts";
import { isLarge, type TenantDocument } from "../tenant/stored.ts";
import { requireTenant } from "./auth.ts";
import { conditionHeaders, conditionOf, isKnown } from "./conditions.ts";
import { answer, databaseProblems, describe, query } from "./describe.ts";
import {
  aggregateAnswer,
  countAnswer,
  countRequest,
  documentSchema,
  exampleDocument,
  exampleInserted,
  filterValuesMax,
  findRequest,
  insertAnswer,
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
  sendPage,
  sendPrinted,
} from "./extended-json.ts";
import { signalOf } from "./time-limit.ts";

const organizationOf = (c: Context<ExtendedEnv>) => c.get("actor").organizationId;
const keyOf = (c: Context<ExtendedEnv>) => organizationOf(c).toHexString();

const tags = ["Documents"];
const etag = z.object({ ETag: z.string().meta({ example: '"1-q83vEjRWeJCrze8B"' }) });
const one = (description: string) => ({ ...answer(description, documentSchema, exampleDocument), headers: etag });
const many = [exampleDocument, { _id: "second", color: "blue" }];
const inserted = {
  description: "Of one, the document as it is stored; of an array, how many and their ids",
  content: {
    "application/json": {
      schema: insertAnswer,
      examples: {
        one: { summary: "One was sent", value: exampleDocument },
        many: { summary: "An array was sent", value: exampleInserted },
      },
    },
  },
  headers: z.object({
    ETag: z.string().optional().meta({ description: "Of one", example: '"1-q83vEjRWeJCrze8B"' }),
    Location: z.string().optional().meta({ description: "Of one", example: "/org/documents/6743a1f0c2a4b8d9e0f1a2b3" }),
  }),
};
const found = { ...databaseProblems, document_not_found: "There is no document of this id" };
const changed = {
  ...found,
  precondition_failed: "It isn't one that If-Match names, or is one that If-None-Match names",
  write_conflict: "Too many others write it",
  write_in_doubt: "The organization was moved meanwhile; whether it was written can't be told",
};
const stored = {
  document_too_large: "A document has more than MongoDB's 16 MiB",
  unique_violated: "Another document has the same value in a unique index",
  index_unfit: "It has arrays in two fields of one index",
  document_refused: "The database refuses it: by a validator that somebody has put on the collection, or for its size",
};
const queried = {
  ...databaseProblems,
  invalid_request: "The query has something that isn't allowed",
  expression_too_costly: "An expression or a pattern may do more than a few steps for each part of a document",
  query_too_slow: "It was still running when its time was up: the same again would take as long",
  query_refused: "The database finds it wrong: an operator doesn't fit a value",
};
const listed = {
  ...queried,
  invalid_cursor: "The cursor is none, or of another query",
  unsupported_sort: "A document has an array where it is sorted by: there is no paging in that order",
};

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
        summary: "Insert a document, or an array of them",
        description:
          "Extended JSON in and out. Without `_id` a document gets an ObjectId. Of several, each is inserted by itself. " +
          "With an `Idempotency-Key` the same request may be sent again for 24 hours and has its effect once.",
        tags,
        requestParams: { header: z.object({ "Idempotency-Key": z.string().max(255).optional() }) },
        answers: { "201": inserted },
        problems: {
          ...databaseProblems,
          ...stored,
          document_exists: "There is a document of this id; of several, `errors` says which were refused",
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
          return sendExtended(c, 201, {
            inserted_count: documents.length,
            inserted_ids: documents.map(({ id }) => id),
          });
        }
        const location = `/org/documents/${encodeURIComponent(printPathId(first.id))}`;
        return await sendDocument(c, first, 201, { Location: location });
      },
    )
    .get(
      "/",
      describe({
        operationId: "listDocuments",
        summary: "List documents, a page at a time",
        tags,
        answers: {
          "200": answer("One page", listAnswer),
          "431": { description: "URL and headers have more than 16 kB: `POST /org/documents/find` takes long queries" },
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
        summary: "The same as listing, with the query in a body",
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
        answers: { "200": answer("How many match", countAnswer) },
        problems: queried,
      }),
      reader,
      queryBody(countRequest, { some: { filter: { color: "red" } } }, filterValuesMax),
      async (c) => {
        const { filter } = readMembers(c, ["filter"]);
        return sendExtended(c, 200, { count: await countDocuments(inTime(c), organizationOf(c), filter) });
      },
    )
    .post(
      "/aggregate",
      describe({
        operationId: "aggregateDocuments",
        summary: `Run an aggregation pipeline over the organization's documents (at most ${limitMax} results)`,
        tags,
        answers: { "200": answer("What comes out", aggregateAnswer) },
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
        return await sendPage(c, keyOf(c), {
          documents: await aggregateDocuments(inTime(c), organizationOf(c), pipeline),
        });
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
          "304": { description: "It still has the ETag that If-None-Match names" },
        },
        problems: { ...found, precondition_failed: changed.precondition_failed, invalid_request: "A header is wrong" },
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
        answers: { "200": one("The document as it is now") },
        problems: { ...changed, ...stored },
      }),
      tenant,
      document,
      async (c) => {
        const id = idOf(c);
        const fields = await readReplacement(largeOf(c), c.get("sent"), id);
        return await sendDocument(c, await change(c, id, () => ({ fields })));
      },
    )
    .patch(
      "/:id",
      describe({
        operationId: "patchDocument",
        summary: "Change some fields of a document (JSON Merge Patch, RFC 7396)",
        tags,
        requestParams: { path: pathId, header: conditionHeaders },
        answers: { "200": one("The document as it is now") },
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
        summary: "Remove a document",
        tags,
        requestParams: { path: pathId, header: conditionHeaders },
        answers: { "204": { description: "It is gone" } },
        problems: {
          ...changed,
          body_too_large: "There is a body, and it is too large",
          invalid_request: "A header is wrong",
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
    if (isLarge(fields)) return sendPrinted(c, status, await largeOf(c).show(id, fields), headers);
    return sendExtended(c, status, { _id: id, ...fields }, headers);
  }

  async function change(c: Context<ExtendedEnv>, id: unknown, to: Change) {
    return (await changeDocument(deps, organizationOf(c), id, conditionOf(c), to))!;
  }
}
