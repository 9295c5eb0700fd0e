import * as z from "zod";
import { statuses } from "../../organization/organization.ts";
import { tiers } from "../../tenant/placement.ts";
import { hexId } from "./platform-schemas.ts";
import { organizationAnswer, time, usageAnswer } from "../contract/schemas.ts";

export const organizationsQuery = z.strictObject({
  tier: z.enum(tiers).optional().meta({ example: "starter" }),
  status: z.enum(statuses).optional().meta({ example: "suspended" }),
  region: z
    .string()
    .regex(/^[A-Za-z0-9_-]{1,64}$/, "must be the name of a region")
    .optional()
    .meta({ example: "default" }),
  name_prefix: z
    .string()
    .regex(/^[A-Za-z0-9_-]{1,50}$/, "must be 1 to 50 of a-z, 0-9, _ and -")
    .optional()
    .meta({ description: "Case-insensitive", example: "ac" }),
  limit: z.coerce.number().int().min(1).max(200).default(50).meta({ example: 50 }),
  cursor: hexId.optional().meta({ description: "`next_cursor` of the previous page" }),
});

/** For people: one line, nothing that isn't seen. */
const reason = z
  .string()
  .regex(/^[^\p{C}\p{Zl}\p{Zp}\uFFFD]{1,500}$/u, "must be one line of 1 to 500 characters")
  .meta({
    description: "One line; for operators only",
    example: "The invoice of October is not paid",
    minLength: 1,
    maxLength: 500,
    // Not all that read a description know `\p`.
    pattern: "^[^\\u0000-\\u001F\\u007F-\\u009F\\u2028\\u2029\\uFFFD]*$",
  });

export const suspendRequest = z.strictObject({ reason: reason.optional() }).meta({ id: "SuspendOrganization" });

export const operatorsAnswer = organizationAnswer
  .extend({
    suspension: z
      .object({ at: time, reason: z.string().nullable() })
      .nullable()
      .meta({ description: "Null unless it is suspended", example: null }),
    allow_list: z
      .array(z.string())
      .meta({ description: "Networks its admin may use the API from; empty: every address", example: [] }),
  })
  .meta({ id: "OrganizationForOperators" });

export const operatorsAnswerWithUsage = operatorsAnswer
  .extend({ usage: usageAnswer.optional().meta({ description: "Only if quotas are set" }) })
  .meta({ id: "OrganizationWithUsage" });

export const recoveryAnswer = z
  .object({
    organization_id: hexId,
    organization_name: z.string().meta({ example: "acme" }),
    token: z.string().meta({ description: "For one `POST /admin/recovery`", example: `crv_${"A".repeat(43)}` }),
    link: z
      .string()
      .nullable()
      .meta({ description: "A page that asks for the new password; null without `PUBLIC_ORIGIN`", example: null }),
    expires_at: time,
  })
  .meta({ id: "RecoveryToken" });

export const organizationsAnswer = z
  .object({
    organizations: z.array(operatorsAnswer).meta({ example: [] }),
    next_cursor: z.string().nullable().meta({ example: null }),
  })
  .meta({ id: "Organizations" });
