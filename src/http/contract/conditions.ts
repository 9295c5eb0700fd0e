import type { Context } from "hono";
import * as z from "zod";
import { type Condition, preconditionFailed } from "../../document/change.ts";
import { matchesTag, parseIfMatch, parseIfNoneMatch } from "../../tenant/document.ts";
import type { TenantDocument } from "../../tenant/stored.ts";

/** The headers of requests that may have conditions. */
export const conditionHeaders = z.object({
  "If-Match": z.string().optional().meta({ description: "Only if the document's ETag is one of these" }),
  "If-None-Match": z.string().optional().meta({ description: "Only if the document's ETag is none of these" }),
});

/** The document that If-Match names (RFC 9110, 13.1.1); any when there is no such header. */
function namedBy(c: Context): Condition {
  const header = c.req.header("if-match");
  if (header === undefined) return () => true;
  const tags = parseIfMatch(header);
  return (current) => current !== null && matchesTag(tags, current.meta);
}

/** One that If-None-Match doesn't name (RFC 9110, 13.1.2). */
function unnamedBy(c: Context): Condition {
  const header = c.req.header("if-none-match");
  if (header === undefined) return () => true;
  const tags = parseIfNoneMatch(header);
  return (current) => current === null || !matchesTag(tags, current.meta);
}

/** Which document a request may change. */
export function conditionOf(c: Context): Condition {
  const [isNamed, isUnnamed] = [namedBy(c), unnamedBy(c)];
  return (current) => isNamed(current) && isUnnamed(current);
}

/** Whether whoever reads a document has it already. @throws Failure `precondition_failed` when it isn't the one that was meant */
export function isKnown(c: Context, document: TenantDocument): boolean {
  const [isNamed, isUnnamed] = [namedBy(c), unnamedBy(c)];
  if (!isNamed(document)) throw preconditionFailed(document);
  return !isUnnamed(document);
}
