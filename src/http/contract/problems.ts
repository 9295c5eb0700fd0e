import type { Context } from "hono";
import { HTTPException } from "hono/http-exception";
import * as z from "zod";
import type { AdminFailure } from "../../admin/admin.ts";
import type { AuditFailure } from "../../audit/audit.ts";
import type { Deps } from "../../deps.ts";
import { firstErrorsOf, isOfFirst } from "./first-errors.ts";
import type { DocumentFailure } from "../../document/document.ts";
import { type Failure, failure, isFailure } from "../../lib/failure.ts";
import { printInSlices } from "../../lib/json/print-in-slices.ts";
import { isUnauthorized, isUnavailable } from "../../lib/mongo/mongo.ts";
import { wordsOf } from "../../lib/scrub.ts";
import { createSlice } from "../../lib/slices.ts";
import type { OperatorFailure } from "../../operator/key.ts";
import type { OperationFailure } from "../../operation/drive.ts";
import type { OrganizationFailure } from "../../organization/organization.ts";
import { type SessionFailure, tokenReasons } from "../../session/session.ts";
import type { TenantFailure } from "../../tenant/door.ts";
import type { IndexFailure } from "../../tenant/place/indexes.ts";
import type { QuotaFailure } from "../../quota/quota.ts";
import type { RightsFailure } from "../../tenant/place/rights.ts";
import type { CostFailure } from "../../tenant/query/cost/cost.ts";
import type { PageFailure } from "../../tenant/query/page.ts";

export type HttpFailure =
  | "invalid_request"
  | "malformed_json"
  | "unsupported_content_type"
  | "unsupported_content_encoding"
  | "bad_request"
  | "not_found"
  | "method_not_allowed"
  | "body_too_large"
  | "bodies_busy"
  | "https_required"
  | "timeout"
  | "rate_limited"
  | "database_unavailable"
  | "starting"
  | "rights_missing"
  | "internal_error";

type FailureCode =
  | HttpFailure
  | AdminFailure
  | CostFailure
  | DocumentFailure
  | IndexFailure
  | OrganizationFailure
  | OperationFailure
  | OperatorFailure
  | PageFailure
  | QuotaFailure
  | SessionFailure
  | AuditFailure
  | RightsFailure
  | TenantFailure;
type ProblemStatus = 400 | 401 | 403 | 404 | 405 | 409 | 412 | 413 | 415 | 422 | 429 | 500 | 503;

/** Every problem type that the API answers with (RFC 9457): its status and its title. */
export const problemTypes: Record<FailureCode, { status: ProblemStatus; title: string }> = {
  organization_name_taken: { status: 400, title: "The organization name is taken" },
  email_taken: { status: 400, title: "The email is taken" },
  bad_request: { status: 400, title: "The request could not be read" },
  credentials_incorrect: { status: 401, title: "Incorrect email or password" },
  token_missing: { status: 401, title: "Access token required" },
  token_invalid: { status: 401, title: "The access token is not valid" },
  refresh_token_invalid: { status: 401, title: "The refresh token is not valid" },
  refresh_token_reused: { status: 401, title: "The refresh token was used before" },
  recovery_token_invalid: { status: 401, title: "The recovery token is not valid" },
  tenant_gone: { status: 401, title: "The organization no longer exists" },
  operator_key_missing: { status: 401, title: "Operator key required" },
  operator_key_invalid: { status: 401, title: "The operator key is not valid" },
  https_required: { status: 403, title: "HTTPS required" },
  organization_suspended: { status: 403, title: "The organization is suspended" },
  scope_missing: { status: 403, title: "The key lacks the required scope" },
  current_password_required: { status: 403, title: "Current password required" },
  current_password_incorrect: { status: 403, title: "The current password is incorrect" },
  address_not_allowed: { status: 403, title: "The address is not allowed" },
  organization_not_found: { status: 404, title: "No such organization" },
  not_found: { status: 404, title: "No such resource" },
  document_not_found: { status: 404, title: "No such document" },
  index_not_found: { status: 404, title: "No such index" },
  operation_not_found: { status: 404, title: "No such operation" },
  operator_key_not_found: { status: 404, title: "No such key" },
  admin_not_found: { status: 404, title: "No such admin" },
  session_not_found: { status: 404, title: "No such session" },
  method_not_allowed: { status: 405, title: "The method is not allowed here" },
  document_exists: { status: 409, title: "The document already exists" },
  document_refused: { status: 409, title: "The database rejected the document" },
  unique_violated: { status: 409, title: "Unique index violated" },
  index_exists: { status: 409, title: "The index already exists" },
  index_unfit: { status: 409, title: "The index can't hold these values" },
  index_violated: { status: 409, title: "Existing documents violate the unique index" },
  move_pointless: { status: 409, title: "The organization is already in this tier" },
  operation_open: { status: 409, title: "Another operation is in progress" },
  operation_state: { status: 409, title: "The operation's state doesn't allow this" },
  refresh_in_progress: { status: 409, title: "The session was just renewed" },
  precondition_failed: { status: 412, title: "Precondition failed" },
  document_too_large: { status: 413, title: "The document is too large" },
  body_too_large: { status: 413, title: "The body is too large" },
  unsupported_content_encoding: { status: 415, title: "Content-Encoding not supported" },
  // 422 also where 400 or 415 would do: clients of the first Croupier know no other status for a body that is wrong.
  invalid_request: { status: 422, title: "The request is not valid" },
  malformed_json: { status: 422, title: "The body is not JSON" },
  unsupported_content_type: { status: 422, title: "The body must be sent as JSON" },
  invalid_cursor: { status: 422, title: "The cursor doesn't belong to this query" },
  unsupported_sort: { status: 422, title: "Paging isn't possible in this sort order" },
  expression_too_costly: { status: 422, title: "The expression may take too long" },
  query_too_slow: { status: 422, title: "The query ran out of time" },
  query_refused: { status: 422, title: "The database rejected the query" },
  idempotency_key_reused: { status: 422, title: "Idempotency-Key already used" },
  index_limit: { status: 422, title: "Too many indexes" },
  index_not_portable: { status: 422, title: "The index can't be moved" },
  quota_exceeded: { status: 422, title: "Quota exceeded" },
  rate_limited: { status: 429, title: "Too many requests" },
  internal_error: { status: 500, title: "Internal error" },
  organization_without_place: { status: 503, title: "The organization's documents can't be reached" },
  operation_pending: { status: 503, title: "The change is not finished yet" },
  tenant_moving: { status: 503, title: "The organization is being moved" },
  write_conflict: { status: 503, title: "Too many concurrent writes to this document" },
  write_in_doubt: { status: 503, title: "The outcome of the write is unknown" },
  audit_unavailable: { status: 503, title: "The audit log is unavailable" },
  revocations_unknown: { status: 503, title: "Token revocations can't be checked" },
  passwords_busy: { status: 503, title: "Too many sign-ins are waiting" },
  index_busy: { status: 503, title: "Another index is being built" },
  documents_busy: { status: 503, title: "Too many document requests" },
  bodies_busy: { status: 503, title: "Too many request bodies at once" },
  timeout: { status: 503, title: "The request took too long" },
  database_unavailable: { status: 503, title: "The database is unavailable" },
  rights_missing: { status: 503, title: "The database user lacks a right" },
  tier_unavailable: { status: 503, title: "The tier is not available" },
  starting: { status: 503, title: "The service is starting" },
};

const typeOf = (code: FailureCode) => `urn:croupier:problem:${code}` as const;

export const problemSchema = z
  .object({
    type: z
      .enum((Object.keys(problemTypes) as FailureCode[]).map(typeOf))
      .meta({ description: "Identifies the type of problem", example: "urn:croupier:problem:invalid_request" }),
    title: z.string(),
    status: z.int(),
    detail: z.string().meta({ description: "What went wrong, and what to do about it" }),
    instance: z.string().meta({ description: "The path of the request" }),
    request_id: z.string(),
    errors: z
      .array(z.object({ pointer: z.string(), message: z.string(), code: z.string() }))
      .optional()
      .meta({ description: "Each invalid part of the request, by JSON pointer (RFC 6901)" }),
    inserted_ids: z
      .array(z.unknown())
      .optional()
      .meta({ description: "If only some of several documents were rejected: the ids of those that were stored" }),
    reason: z.enum(tokenReasons).optional().meta({
      description:
        "With `token_invalid`, if a token of this service is no longer valid: `expired`: renew it; `ended`: sign in again",
    }),
    quota: z
      .object({
        name: z.enum(["documents", "bytes", "organizations"]),
        limit: z.int().optional(),
        used: z.int().optional(),
      })
      .optional()
      .meta({ description: "The quota that is exceeded, its limit, and how much is used" }),
  })
  .meta({ id: "Problem", description: "A problem document (RFC 9457)" });
export type Problem = z.infer<typeof problemSchema>;

const known = (code: string): code is FailureCode => Object.hasOwn(problemTypes, code);

/** Which problem an error is. Whatever isn't a failure of ours is the database being away, or a defect of ours. */
export function asFailure(error: unknown): Failure<FailureCode> {
  if (isFailure(error) && known(error.failure)) return error as Failure<FailureCode>;
  if (error instanceof HTTPException && error.status === 400 && error.message.startsWith("Malformed JSON")) {
    return failure("malformed_json", "The body could not be parsed as JSON.");
  }
  if (error instanceof HTTPException && error.status < 500)
    return failure("bad_request", "The request could not be read.");
  // The caller went away while sending: statements end by another error, their time-out.
  if (error instanceof Error && error.name === "AbortError") return failure("bad_request", "The request was cut off.");
  if (isUnavailable(error)) {
    return failure("database_unavailable", "The database can't be reached; try again shortly.", {
      retryAfterSeconds: 1,
      cause: error,
    });
  }
  if (isUnauthorized(error)) {
    const detail = "The service's database user lacks a right; the service's log names it.";
    return failure("rights_missing", detail, { retryAfterSeconds: 60, cause: error });
  }
  return failure("internal_error", "An internal error occurred; quote the request id when you report it.", {
    cause: error,
  });
}

/** The document for a failure of one of the given kinds, as the API sends it. */
export function problemOf(
  { failure: code, message, errors, members }: Failure<FailureCode>,
  path: string,
  requestId: string,
): Problem {
  const { status, title } = problemTypes[code];
  return {
    type: typeOf(code),
    title,
    status,
    detail: message,
    instance: path,
    request_id: requestId,
    ...(errors && { errors }),
    ...members,
  };
}

/** The path as it was sent, not decoded: `instance` is a URI reference. */
const requestPath = (c: Context): string => /^(?:https?:\/\/[^/?#]*)?([^?#]*)/.exec(c.req.url)?.[1] || "/";

/** Answers with a problem document; `headers` are those that the status asks for. */
export async function sendProblem(
  c: Context,
  error: Failure<FailureCode>,
  headers: Record<string, string> = {},
): Promise<Response> {
  const { status } = problemTypes[error.failure];
  const document = problemOf(error, requestPath(c), c.get("requestId") ?? "");
  const { forOperators } = error;
  const body = c.get("operator") && forOperators !== undefined ? { ...document, detail: forOperators } : document;
  if (status === 401) headers["WWW-Authenticate"] = challenge(error);
  if (error.scope !== undefined)
    headers["WWW-Authenticate"] = `Bearer error="insufficient_scope", scope="${error.scope}"`;
  // RFC 9110, 15.5.16.
  if (status === 415) headers["Accept-Encoding"] = "identity";
  if (error.etag !== undefined) headers.ETag = error.etag;
  const { retryAfterSeconds = status === 429 || status === 503 ? 1 : undefined } = error;
  if (retryAfterSeconds !== undefined) headers["Retry-After"] = String(retryAfterSeconds);
  // Some thousand inserted ids take a while.
  const text = await printInSlices(body, createSlice(c.get("actor")?.organizationId.toHexString() ?? ""));
  return c.body(text, status, { ...headers, "Content-Type": "application/problem+json" });
}

/** RFC 6750, 3: the error is named only when a token was sent, and described as the problem is. */
function challenge({ failure: code, members }: Failure<FailureCode>): string {
  if (!["token_invalid", "tenant_gone", "operator_key_invalid"].includes(code)) return "Bearer";
  const description = members?.reason ? `, error_description="The access token has ${members.reason}"` : "";
  return `Bearer error="invalid_token"${description}`;
}

/** The one place where errors become answers. */
export function handleError({ log, config }: Pick<Deps, "log" | "config">) {
  const told = new Set<string>();
  /** What an operator has to see to: once for each right and kind of database, say, not for each request. */
  const tell = (request_id: unknown, err: unknown, message: string) => {
    const what = wordsOf(err).replace(/[0-9a-f]{24}/, "*");
    if (told.has(what)) return;
    told.add(what);
    log.error({ request_id, err }, message);
  };
  return async (error: unknown, c: Context): Promise<Response> => {
    const problem = asFailure(error);
    const requestId = c.get("requestId");
    if (problem.failure === "internal_error") log.error({ request_id: requestId, err: error }, "request failed");
    else if (problem.failure === "database_unavailable")
      log.warn({ request_id: requestId, err: error }, "database unavailable");
    const refusal = [error, problem.cause].find(isUnauthorized);
    if (refusal !== undefined) tell(requestId, refusal, "database user lacks a right");
    if (problem.forOperators !== undefined) tell(requestId, problem, "request needs an operator");
    const isFirst = config.validationErrors === "v1" && isOfFirst(c.req.method, c.req.path);
    if (isFirst && problemTypes[problem.failure].status === 422) return c.json(firstErrorsOf(problem), 422);
    return await sendProblem(c, problem);
  };
}
