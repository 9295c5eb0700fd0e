import * as z from "zod";
import { actKinds, acts, outcomes, whoKinds } from "../audit/audit.ts";
import { hexId } from "./platform-schemas.ts";
import { time } from "./schemas.ts";

const moment = z.iso
  .datetime({ offset: true, error: "must be a time such as 2026-11-24T09:30:00Z" })
  .transform((text) => new Date(text))
  .optional();

export const ownAuditQuery = z.strictObject({
  from: moment.meta({ description: "From this time on", example: "2026-11-24T00:00:00Z" }),
  to: moment.meta({ description: "Before this time", example: "2026-11-25T00:00:00Z" }),
  act: z.enum(acts).optional().meta({ example: "session.sign_in" }),
  kind: z.enum(actKinds).optional().meta({ description: "What is before the dot of an act", example: "session" }),
  outcome: z.enum(outcomes).optional().meta({ example: "failure" }),
  limit: z.coerce.number().int().min(1).max(200).default(50).meta({ example: 50 }),
  cursor: z
    .string()
    .regex(/^[\w-]{1,200}$/, "must be the next_cursor of a page")
    .optional()
    .meta({ description: "`next_cursor` of the page before" }),
});

export const platformAuditQuery = ownAuditQuery.extend({
  organization_id: hexId.optional().meta({ description: "Of this organization only, also when it is gone" }),
});

const hash = z.string().meta({ example: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08" });

const entry = z
  .object({
    id: z.string().meta({ example: "6743a1f0c2a4b8d9e0f1a2b3/000000000042" }),
    seq: z.int().meta({ description: "Its place in the chain of its organization, from 1 on", example: 42 }),
    at: time,
    act: z.enum(acts).meta({ example: "session.sign_in" }),
    outcome: z.enum(outcomes).meta({
      description: "`unknown`: what did it died, or lost its database, in the middle; it may have happened",
      example: "success",
    }),
    who: z
      .object({ kind: z.enum(whoKinds), id: z.string().nullable() })
      .meta({ example: { kind: "admin", id: "6743a1f0c2a4b8d9e0f1a2b4" } }),
    organization_id: hexId.nullable().meta({ description: "Null when it concerns none that there is" }),
    address: z
      .string()
      .nullable()
      .meta({ description: "An operator's is shown to operators only", example: "203.0.113.7" }),
    request_id: z.string().nullable().meta({ example: "7d5c5b1e-5f0f-4a3e-8f5e-0f8a2b3c4d5e" }),
    details: z
      .record(z.string(), z.union([z.string(), z.number(), z.boolean()]))
      .meta({ example: { token_id: "0b0f4a9e-2f4e-4f0e-9d0e-4d7f6a1b2c3d" } }),
    previous: hash.meta({ description: "`hash` of the entry before it in the chain" }),
    hash: hash.meta({ description: "SHA-256 of the entry" }),
  })
  .meta({ id: "AuditEntry" });

export const auditAnswer = z
  .object({
    entries: z.array(entry).meta({ example: [] }),
    damaged: z.array(z.string()).meta({
      description:
        "Ids of entries of this page that were altered in the database after they were recorded; what they say is not shown",
      example: [],
    }),
    next_cursor: z.string().nullable().meta({ example: null }),
  })
  .meta({ id: "AuditEntries" });
