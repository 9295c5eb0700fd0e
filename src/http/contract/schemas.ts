import * as z from "zod";
import { passwordProblem } from "../../admin/password.ts";
import { organizationNamePattern, statuses } from "../../organization/organization.ts";

// A lone surrogate has no UTF-8, and U+FFFD is what a body that isn't UTF-8 is read as: two different texts would be one.
const broken = { error: "must not contain NUL or invalid Unicode", abort: true };
const text = z.string().refine((value) => value.isWellFormed(), broken);
// What can be a pattern is one, so that the description says it too.
const password = text.regex(/^[^\u0000\uFFFD]*$/, broken);

const organizationName = z.string().regex(organizationNamePattern, "must be 3 to 50 of a-z, 0-9, _ and -").meta({
  description: "Case-insensitive, stored in lower case",
  example: "acme",
  minLength: 3,
  maxLength: 50,
});

const local = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~\\u00a1-\\uffef-]";
const label = "[A-Za-z0-9\\u00a1-\\uffef](?:[A-Za-z0-9\\u00a1-\\uffef-]{0,61}[A-Za-z0-9\\u00a1-\\uffef])?";
const emailPattern = new RegExp(`^${local}+(?:\\.${local}+)*@(?:${label}\\.)+${label}$`);

const email = text
  .max(254, { error: "must have at most 254 characters", abort: true })
  .regex(emailPattern, "must be an email address")
  // Neither white space nor what isn't seen: two addresses that look alike would be two accounts.
  .refine((address) => address.indexOf("@") <= 64 && !/[\p{C}\p{Z}]/u.test(address), "must be an email address")
  .meta({
    description: "Case-insensitive; an internationalized domain is the same as its `xn--` form",
    example: "ada@acme.example",
  });

export const newPassword = password
  // Before it is normalized, which takes the square of the length for marks in the wrong order.
  .max(1000, { error: "must have at most 72 bytes in UTF-8", abort: true })
  .superRefine((typed, context) => {
    const problem = passwordProblem(typed);
    if (problem) context.addIssue({ code: "custom", message: problem });
  })
  .meta({
    description:
      "At least 8 characters and at most 72 bytes, with an upper-case letter, a lower-case letter and a digit",
    example: "Correct-Horse-7",
    format: "password",
    minLength: 8,
    maxLength: 72,
  });

export const createRequest = z
  .strictObject({ organization_name: organizationName, email, password: newPassword })
  .meta({ id: "CreateOrganization" });

// The first Croupier took null for "leave it".
const optional = <S extends z.ZodType>(schema: S) => schema.nullish().transform((value) => value ?? undefined);

const changes = {
  organization_name: optional(organizationName),
  email: optional(email),
  password: optional(newPassword),
};

const currentPassword = password.min(1, "must not be empty").max(1000, "must have at most 1000 characters").meta({
  description: "Needed for a new email or password and for deleting, unless the admin signed in within 5 minutes",
  example: "Correct-Horse-7",
  format: "password",
});

export const updateRequest = z
  .strictObject({ ...changes, current_password: optional(currentPassword) })
  .refine(
    ({ current_password: _, ...given }) => Object.values(given).some((value) => value !== undefined),
    "must contain at least one change",
  )
  .meta({
    id: "UpdateOrganization",
    description: "At least one change; fields that are missing or null stay unchanged",
    example: { organization_name: "acme-labs" },
    minProperties: 1,
  });

// Other fields are read over: clients of before may send any, of which nothing was read.
export const removeRequest = z
  .object({ current_password: optional(currentPassword) })
  .meta({ id: "DeleteOrganization", example: { current_password: "Correct-Horse-7" } });

export const signInRequest = z
  .strictObject({
    // Whatever an account of the first Croupier may have: what isn't known is refused by the sign-in itself.
    email: text
      .max(320, { error: "must be an email address", abort: true })
      .regex(/^[^\s@\u0000\uFFFD]+@[^\s@\u0000\uFFFD]+$/, "must be an email address")
      .meta({ example: "ada@acme.example" }),
    password: password
      .min(1, "must not be empty")
      .max(1000, "must have at most 1000 characters")
      .meta({ example: "Correct-Horse-7", format: "password" }),
  })
  .meta({ id: "SignIn" });

export const getQuery = z.object({ organization_name: organizationName });

export const time = z.string().meta({ format: "date-time", example: "2026-11-24T09:30:00.000Z" });

const used = (example: number) =>
  z.object({
    used: z.int().nullable().meta({ description: "Null until counted, or if there are no quotas", example }),
    limit: z.int().nullable().meta({ description: "Null if there is no quota", example: null }),
  });
export const usageAnswer = z
  .object({
    documents: used(1_200).meta({ example: { used: 1_200, limit: 10_000 } }),
    bytes: used(1_310_720).meta({
      description: "Size as BSON, without what Croupier adds",
      example: { used: 1_310_720, limit: null },
    }),
    counted_at: time
      .nullable()
      .meta({ description: "When all documents were last counted", example: "2026-11-24T09:30:00.000Z" }),
  })
  .meta({ id: "Usage" });
export const refreshTokenExample = `crt_${"A".repeat(64)}`;
const id = z.string().meta({ example: "6743a1f0c2a4b8d9e0f1a2b3", pattern: "^[0-9a-f]{24}$" });

export const organizationAnswer = z
  .object({
    id,
    organization_name: z.string().meta({ example: "acme" }),
    email: z.string().meta({ example: "ada@acme.example" }),
    connection_details: z
      .string()
      .meta({ description: "Where the documents are stored", example: "Collection: org_acme" }),
    created_at: time,
    updated_at: time.nullable().meta({ description: "Null until the first update", example: null }),
    tier: z.enum(["starter", "professional", "enterprise"]).meta({ example: "professional" }),
    region: z.string().meta({ example: "default" }),
    status: z.enum(statuses).meta({ example: "active" }),
  })
  .meta({ id: "Organization" });
export const organizationWithoutEmail = organizationAnswer
  .omit({ email: true })
  .meta({ id: "OrganizationWithoutEmail" });

export const grant = {
  access_token: z.string().meta({ description: "A JWT", example: "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.e30.AAAA" }),
  token_type: z.literal("bearer").meta({ example: "bearer" }),
  expires_in: z.int().meta({ description: "Lifetime of the access token in seconds", example: 3600 }),
  refresh_token: z.string().meta({ description: "For one `POST /admin/refresh`", example: refreshTokenExample }),
  refresh_expires_in: z.int().meta({ description: "Lifetime of the refresh token in seconds", example: 2_592_000 }),
};

export const signInAnswer = z
  .object({
    ...grant,
    admin_id: id,
    organization_id: id,
    organization_name: z.string().meta({ example: "acme" }),
  })
  .meta({ id: "SignedIn" });

export const whoAnswer = z
  .object({
    admin_id: id,
    organization_id: id,
    organization_name: z.string().meta({ example: "acme" }),
    email: z.string().meta({ example: "ada@acme.example" }),
    expires_at: time.meta({ description: "When the access token expires" }),
  })
  .meta({ id: "SignedInAs" });

export const healthAnswer = z
  .object({
    status: z.enum(["healthy", "unhealthy"]).meta({ example: "healthy" }),
    service: z.string().meta({ example: "croupier" }),
    version: z.string().meta({ example: "2.0.0" }),
    database: z.enum(["connected", "disconnected"]).meta({ example: "connected" }),
  })
  .meta({ id: "Health" });

export const readinessAnswer = z
  .object({ status: z.enum(["ready", "not_ready"]).meta({ example: "ready" }) })
  .meta({ id: "Readiness" });

export const rootAnswer = z
  .object({
    name: z.string().meta({ example: "croupier" }),
    version: z.string().meta({ example: "2.0.0" }),
    message: z.string().meta({ example: "Croupier is running" }),
    docs: z.string().meta({ example: "/docs" }),
    redoc: z.string().meta({ example: "/redoc" }),
    links: z
      .record(z.string(), z.string())
      .meta({ example: { docs: "/docs", openapi: "/openapi.json", health: "/health" } }),
  })
  .meta({ id: "Service" });

const publicKey = z.looseObject({
  kty: z.enum(["RSA", "EC", "OKP"]),
  kid: z.string().meta({ description: "In the header of each token signed with this key" }),
  alg: z.enum(["RS256", "ES256", "EdDSA"]),
  use: z.literal("sig"),
});

export const jwksAnswer = z
  .object({
    keys: z.array(publicKey).meta({
      example: [
        {
          kty: "OKP",
          crv: "Ed25519",
          x: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
          kid: "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
          alg: "EdDSA",
          use: "sig",
        },
      ],
    }),
  })
  .meta({ id: "PublicKeys" });
