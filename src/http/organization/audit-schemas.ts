import * as z from "zod";
import { actKinds, acts, outcomes, whoKinds } from "../../audit/audit.ts";
import { hexId } from "../platform/platform-schemas.ts";
import { time } from "../contract/schemas.ts";

const moment = z.iso
  .datetime({ offset: true, error: "must be a time such as 2026-11-24T09:30:00Z" })
  .transform((text) => new Date(text))
  .optional();

export const ownAuditQuery = z.strictObject({
  from: moment.meta({ description: "At or after this time", example: "2026-11-24T00:00:00Z" }),
  to: moment.meta({ description: "Before this time", example: "2026-11-25T00:00:00Z" }),
  act: z.enum(acts).optional().meta({ example: "session.sign_in" }),
  kind: z.enum(actKinds).optional().meta({ description: "The part of `act` before the dot", example: "session" }),
  outcome: z.enum(outcomes).optional().meta({ example: "failure" }),
  limit: z.coerce.number().int().min(1).max(200).default(50).meta({ example: 50 }),
  cursor: z
    .string()
    .regex(/^[\w-]{1,200}$/, "must be the next_cursor of a page")
    .optional()
    .meta({ description: "`next_cursor` of the previous page" }),
});

export const platformAuditQuery = ownAuditQuery.extend({
  organization_id: hexId.optional().meta({ description: "Only entries of this organization, even if it was deleted" }),
});

const hash = z.string().meta({ example: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08" });

const entry = z
  .object({
    id: z.string().meta({ example: "6743a1f0c2a4b8d9e0f1a2b3/000000000042" }),
    seq: z.int().meta({ description: "Position in the organization's chain, starting at 1", example: 42 }),
    at: time,
    act: z.enum(acts).meta({ example: "session.sign_in" }),
    outcome: z.enum(outcomes).meta({
      description: "`unknown`: the process died or lost its connection to the database; the act may have taken effect",
      example: "success",
    }),
    who: z
      .object({ kind: z.enum(whoKinds), id: z.string().nullable() })
      .meta({ example: { kind: "admin", id: "6743a1f0c2a4b8d9e0f1a2b4" } }),
    organization_id: hexId.nullable().meta({ description: "Null if it doesn't concern an existing organization" }),
    address: z
      .string()
      .nullable()
      .meta({ description: "Operators' addresses are shown to operators only", example: "203.0.113.7" }),
    request_id: z.string().nullable().meta({ example: "7d5c5b1e-5f0f-4a3e-8f5e-0f8a2b3c4d5e" }),
    details: z
      .record(z.string(), z.union([z.string(), z.number(), z.boolean()]))
      .meta({ example: { token_id: "0b0f4a9e-2f4e-4f0e-9d0e-4d7f6a1b2c3d" } }),
    previous: hash.meta({ description: "`hash` of the previous entry in the chain" }),
    hash: hash.meta({ description: "SHA-256 of the entry" }),
  })
  .meta({ id: "AuditEntry" });

export const auditAnswer = z
  .object({
    entries: z.array(entry).meta({ example: [] }),
    damaged: z.array(z.string()).meta({
      description:
        "Ids of entries on this page that were altered after they were recorded; their contents are not shown",
      example: [],
    }),
    next_cursor: z.string().nullable().meta({ example: null }),
  })
  .meta({ id: "AuditEntries" });
