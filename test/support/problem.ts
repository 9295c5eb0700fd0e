import { expect } from "bun:test";
import type { Answer } from "./service.ts";

export type ExpectedProblem = {
  status: number;
  /** The last part of the problem's `type`. */
  type: string;
  /** What was asked for, without the query. */
  path: string;
  /** Why a token is none any more, null when it must not be said; left out when it doesn't matter. */
  reason?: "expired" | "ended" | null | undefined;
  /** Where the errors have to point, when it matters. */
  pointers?: string[];
};

// What would tell a stranger how the service is made: stack frames, drivers, servers, libraries.
export const leaks = /\bat .+:\d+:\d+|\.ts\b|node_modules|mongo|ferret|E11000|ECONN|BSON\w*Error|zod|hono|Error:/i;
/** Problems that point to what was wrong; others may. */
const pointing = ["invalid_request", "expression_too_costly", "document_exists", "invalid_cursor", "unsupported_sort"];
const mayPoint = [...pointing, "unique_violated", "index_unfit", "document_refused"];

const challengeOf = ({ status, type }: ExpectedProblem, reason: string | undefined) => {
  if (reason) return `Bearer error="invalid_token", error_description="The access token has ${reason}"`;
  if (type === "scope_missing") return expect.stringMatching(/^Bearer error="insufficient_scope", scope="[a-z:]+"$/);
  return status === 401 ? expect.stringMatching(/^Bearer( error="[a-z_]+")?$/) : null;
};

/** The one check of every answer that is an error: a whole problem document (RFC 9457) and the headers of its status. */
export function expectProblem(answer: Answer, expected: ExpectedProblem): void {
  const { status, headers, body, text } = answer;
  expect({ status, type: body?.type, body: text.slice(0, 400) }).toEqual({
    status: expected.status,
    type: `urn:croupier:problem:${expected.type}`,
    body: expect.any(String),
  });
  expect(headers.get("content-type")).toBe("application/problem+json");
  const { errors, inserted_ids, quota, reason, ...rest } = body;
  expect(rest).toEqual({
    type: expect.any(String),
    title: expect.stringMatching(/\w+ \w+/),
    status: expected.status,
    detail: expect.stringMatching(/^\S.{10,}\.$/s),
    instance: expected.path,
    request_id: expect.stringMatching(/^[\w=-]+$/),
  });
  expect(headers.get("x-request-id")).toBe(body.request_id);
  expect(text).not.toMatch(leaks);
  expect(text.length).toBeLessThan(20_000);
  if (pointing.includes(expected.type)) expect(errors).toBeArray();
  if (!mayPoint.includes(expected.type)) expect(errors).toBeUndefined();
  if (expected.type !== "quota_exceeded") expect(quota).toBeUndefined();
  if (expected.type !== "token_invalid") expect(reason).toBeUndefined();
  if (expected.reason !== undefined) expect(reason ?? null).toBe(expected.reason);
  if (expected.status !== 409) expect(inserted_ids).toBeUndefined();
  for (const error of errors ?? []) {
    expect(error).toEqual({
      pointer: expect.stringMatching(/^(#|#\/.*|\?.+|\{\w+\}|[A-Z][A-Za-z-]+)$/s),
      message: expect.stringMatching(/\w+ \w+/),
      code: expect.stringMatching(/^[a-z_]+$/),
    });
  }
  if (expected.pointers) {
    expect([...new Set(errors.map(({ pointer }: { pointer: string }) => pointer))]).toEqual(expected.pointers);
  }
  expect(headers.get("www-authenticate")).toEqual(challengeOf(expected, reason));
  expect(headers.get("allow")).toEqual(status === 405 ? expect.stringMatching(/^[A-Z]+(, [A-Z]+)*$/) : null);
  expect(headers.get("accept-encoding")).toBe(status === 415 ? "identity" : null);
  expect(headers.get("retry-after")).toEqual(
    status === 429 || status === 503 || expected.type === "refresh_in_progress"
      ? expect.stringMatching(/^[1-9]\d*$/)
      : null,
  );
}
