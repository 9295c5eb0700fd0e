import * as z from "zod";
import { operationStatuses } from "../../operation/operation.ts";
import { tiers } from "../../tenant/placement.ts";
import { time } from "../contract/schemas.ts";

export const hexId = z
  .string()
  .regex(/^[0-9a-f]{24}$/, "must be 24 hexadecimal digits")
  .meta({ example: "6743a1f0c2a4b8d9e0f1a2b3", pattern: "^[0-9a-f]{24}$" });

export const idPath = z.object({ id: hexId });

export const moveRequest = z
  .strictObject({ tier: z.enum(tiers).meta({ example: "enterprise" }) })
  .meta({ id: "MoveOrganization" });

export const operationsQuery = z.strictObject({
  organization_id: hexId.optional(),
  kind: z
    .string()
    .regex(/^[a-z_]{1,30}$/, "must be a kind of operation")
    .optional()
    .meta({ example: "move" }),
  status: z.enum(operationStatuses).optional().meta({ example: "running" }),
  limit: z.coerce.number().int().min(1).max(200).default(50).meta({ example: 50 }),
  cursor: hexId.optional().meta({ description: "`next_cursor` of the previous page" }),
});

export const operationAnswer = z
  .object({
    id: hexId,
    kind: z.string().meta({ example: "move" }),
    organization_id: hexId,
    status: z.enum(operationStatuses).meta({
      description: "`stopped`: it failed too often and waits to be resumed or cancelled",
      example: "running",
    }),
    phase: z.string().meta({ description: "The current step", example: "copy" }),
    from: z.string().nullable().meta({ example: "professional" }),
    to: z.string().nullable().meta({ example: "enterprise" }),
    documents_total: z
      .int()
      .nullable()
      .meta({ description: "Number of documents when the operation began", example: 120_000 }),
    documents_copied: z.int().nullable().meta({ example: 48_000 }),
    documents_left: z
      .int()
      .nullable()
      .meta({ description: "Documents left in the current phase, for `copy`, `verify` and `drain`", example: 72_000 }),
    documents_per_second: z.int().nullable().meta({
      description: "Average speed of the current phase, minus documents that are changed in the meantime",
      example: 9_600,
    }),
    seconds_left: z
      .int()
      .nullable()
      .meta({ description: "Estimated time until the current phase is done", example: 8 }),
    write_pause_ms: z
      .int()
      .nullable()
      .meta({ description: "How long writers had to wait at the cutover", example: null }),
    attempts: z.int().meta({ description: "Failed attempts since it was started or resumed", example: 0 }),
    error: z.string().nullable().meta({ description: "The most recent error", example: null }),
    created_at: time,
    finished_at: time.nullable().meta({ example: null }),
    history: z
      .array(z.object({ phase: z.string(), at: time }))
      .meta({ example: [{ phase: "plan", at: "2026-11-24T09:30:00.000Z" }] }),
  })
  .meta({ id: "Operation" });

export const operationsAnswer = z
  .object({
    operations: z.array(operationAnswer).meta({ example: [] }),
    next_cursor: z.string().nullable().meta({ example: null }),
  })
  .meta({ id: "Operations" });
