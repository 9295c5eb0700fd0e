import * as z from "zod";
import { limitDefault, limitMax } from "../../document/query.ts";
import { variablesMax } from "../../tenant/query/expression.ts";
import { stagesMax } from "../../tenant/query/pipeline.ts";
import { projectedMax } from "../../tenant/query/projection.ts";
import { sortFieldsMax } from "../../tenant/query/sort.ts";
import { stageFieldsMax } from "../../tenant/query/stages.ts";

export const exampleDocument = { _id: { $oid: "6743a1f0c2a4b8d9e0f1a2b3" }, color: "red", weight: 12.5 };

/** Documents are whatever a tenant keeps; the code that stores them says what can't be. */
const _id = z.unknown().optional().meta({ description: "If a new document has none, it gets an ObjectId" });
export const documentSchema = z.looseObject({ _id }).meta({
  id: "StoredDocument",
  description:
    "A document in MongoDB Extended JSON. The top-level field names `tenant_id` and `_croupier` are reserved.",
});

export const newDocuments = z.union([documentSchema, z.array(documentSchema)]).meta({ id: "NewDocuments" });

export const exampleInserted = { inserted_count: 2, inserted_ids: [{ $oid: "6743a1f0c2a4b8d9e0f1a2b3" }, "second"] };
const inserted = z
  .object({
    inserted_count: z.int(),
    inserted_ids: z.array(z.unknown()).meta({ description: "In the order they were sent" }),
  })
  .meta({ id: "InsertedDocuments" });
export const insertAnswer = z.union([inserted, documentSchema]).meta({
  id: "Inserted",
  description: "The document, or for an array how many were inserted and their ids",
});

const warnings = z
  .array(z.object({ pointer: z.string(), message: z.string(), code: z.enum(["date_as_text"]) }).meta({ id: "Warning" }))
  .optional()
  .meta({
    description:
      "If nothing was found: filter values that are strings and look like dates; a string never matches a date",
  });
const documents = z.array(documentSchema).meta({ example: [exampleDocument] });

export const listAnswer = z
  .object({
    documents,
    next_cursor: z.string().nullable().meta({ description: "For the next page; null on the last page", example: null }),
    warnings,
  })
  .meta({ id: "Documents" });

export const aggregateAnswer = z.object({ documents, warnings }).meta({ id: "AggregatedDocuments" });

export const countAnswer = z.object({ count: z.int().meta({ example: 42 }), warnings }).meta({ id: "Count" });

/** More fits into no URL: with the headers it may have 16 kB. */
const text = z.string().max(8_192, "is too long");

export const listQuery = z.strictObject({
  filter: text
    .optional()
    .meta({ description: 'Extended JSON, where a date is `{"$date": …}`', example: '{"color":"red"}' }),
  sort: text
    .optional()
    .meta({ description: `At most ${sortFieldsMax} fields beside _id, or JSON: {"weight":-1}`, example: "-weight" }),
  projection: text.optional().meta({ description: `JSON; at most ${projectedMax} fields`, example: '{"color":1}' }),
  limit: z.coerce.number().int().min(1).max(limitMax).default(limitDefault).meta({ example: 10 }),
  cursor: text.optional().meta({ description: "`next_cursor` of the previous page" }),
});

/** How many values a query may hold: it is checked and sent in one go, and meanwhile nobody else has a turn. */
export const filterValuesMax = 30_000;
/** Expressions take longer. */
export const pipelineValuesMax = 8_000;

const filter = z
  .looseObject({})
  .optional()
  .meta({
    description: `The body may hold at most ${filterValuesMax} values. A date is \`{"$date": "2026-11-24T09:30:00Z"}\`; a string never matches a date`,
  });
export const findRequest = z
  .strictObject({
    filter,
    sort: z
      .union([z.string(), z.looseObject({})])
      .optional()
      .meta({ description: `At most ${sortFieldsMax} fields beside _id` }),
    projection: z.looseObject({}).optional().meta({ maxProperties: projectedMax }),
    limit: z.int().min(1).max(limitMax).optional(),
    cursor: z.string().nullish(),
  })
  .meta({ id: "FindDocuments" });

export const countRequest = z.strictObject({ filter }).meta({ id: "CountDocuments" });

export const pipelineRequest = z
  .strictObject({
    pipeline: z.array(z.looseObject({})).meta({
      maxItems: stagesMax,
      description: `Stages inside a $facet count, too. The body may hold at most ${pipelineValuesMax} values. A stage may name at most ${stageFieldsMax} fields, and at most ${variablesMax} variables may be in scope at once.`,
    }),
  })
  .meta({ id: "AggregateDocuments" });

export const pathId = z.object({
  id: z.string().meta({
    description: 'An ObjectId in hex, Extended JSON of another scalar (`42`, `"42"`, `{"$uuid":"…"}`), or plain text',
    example: "6743a1f0c2a4b8d9e0f1a2b3",
  }),
});

const direction = z.union([z.literal(1), z.literal(-1)], "must be 1 or -1");
export const indexSchema = z
  .object({
    name: z.string().meta({ example: "color_1" }),
    key: z.record(z.string(), direction).meta({ example: { color: 1 } }),
    unique: z.boolean().meta({ example: false }),
  })
  .meta({ id: "IndexDefinition" });

export const indexesAnswer = z
  .object({ indexes: z.array(indexSchema).meta({ example: [{ name: "color_1", key: { color: 1 }, unique: false }] }) })
  .meta({ id: "Indexes" });

const indexNamePattern = /^[A-Za-z0-9_.-]{1,60}$/;
export const indexRequest = z
  .strictObject({
    key: z
      .record(z.string(), direction)
      .refine((key) => Object.keys(key).length >= 1 && Object.keys(key).length <= 4, "must name 1 to 4 fields")
      .meta({ example: { color: 1 } }),
    name: z
      .string()
      .regex(indexNamePattern, "must be 1 to 60 of A-Z, a-z, 0-9, _, . and -")
      .optional()
      .meta({ example: "color_1" }),
    unique: z.boolean().optional().meta({ example: false }),
  })
  .meta({ id: "CreateIndex" });
// Those that were named by their fields, or made by hand, may have any name.
export const indexPath = z.object({ name: z.string().max(1_000, "is too long").meta({ example: "color_1" }) });
