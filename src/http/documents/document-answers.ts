// What the routes of documents answer, and their problems.
import * as z from "zod";
import { answer, databaseProblems } from "../contract/describe.ts";
import { documentSchema, exampleDocument, exampleInserted, insertAnswer } from "./document-schemas.ts";

const etag = z.object({ ETag: z.string().meta({ example: '"1-q83vEjRWeJCrze8B"' }) });
export const one = (description: string) => ({
  ...answer(description, documentSchema, exampleDocument),
  headers: etag,
});
export const many = [exampleDocument, { _id: "second", color: "blue" }];
export const inserted = {
  description: "For one document, the document as stored; for an array, how many were inserted and their ids",
  content: {
    "application/json": {
      schema: insertAnswer,
      examples: {
        one: { summary: "One document was sent", value: exampleDocument },
        many: { summary: "An array was sent", value: exampleInserted },
      },
    },
  },
  headers: z.object({
    ETag: z.string().optional().meta({ description: "When one document was sent", example: '"1-q83vEjRWeJCrze8B"' }),
    Location: z
      .string()
      .optional()
      .meta({ description: "When one document was sent", example: "/org/documents/6743a1f0c2a4b8d9e0f1a2b3" }),
  }),
};
export const found = { ...databaseProblems, document_not_found: "No document has this id" };
export const changed = {
  ...found,
  precondition_failed: "If-Match doesn't contain its ETag, or If-None-Match does",
  write_conflict: "Too many other requests are writing it",
  write_in_doubt: "The organization was moved in the meantime; the outcome of the write is unknown",
};
export const stored = {
  document_too_large: "A document is larger than MongoDB's limit of 16 MiB",
  unique_violated: "Another document has the same value in a unique index",
  index_unfit: "It has arrays in two fields of one index",
  quota_exceeded: "The organization would exceed its tier's quota of documents or bytes",
  document_refused: "The database rejected it: a validator of the collection doesn't allow it, or it is too large",
};
export const queried = {
  ...databaseProblems,
  invalid_request: "The query contains something that isn't allowed",
  expression_too_costly: "An expression or a pattern may take more steps than the size of a document allows",
  query_too_slow: "The query was still running when its time was up; sending it again doesn't help",
  query_refused: "The database rejected it: an operator doesn't fit a value",
};
export const listed = {
  ...queried,
  invalid_cursor: "The cursor is invalid or belongs to another query",
  unsupported_sort: "A document has an array in a field that is sorted by; paging isn't possible in that order",
};
