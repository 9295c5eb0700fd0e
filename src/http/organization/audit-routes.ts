import { Hono } from "hono";
import { type AuditWanted, type EntryView, readAudit } from "../../audit/read.ts";
import type { Deps } from "../../deps.ts";
import { auditAnswer, ownAuditQuery, platformAuditQuery } from "./audit-schemas.ts";
import { requireAdmin } from "../edge/auth.ts";
import type { Env } from "../edge/context.ts";
import { answer, databaseProblems, describe, query } from "../contract/describe.ts";
import { requireOperator } from "../edge/operator-auth.ts";

const answers = { "200": answer("One page", auditAnswer) };
const problems = { ...databaseProblems, invalid_cursor: "The cursor is invalid" };

/** What a query asks for, without what it leaves out. */
const given = <T extends object>(wanted: T) =>
  Object.fromEntries(Object.entries(wanted).filter(([, value]) => value !== undefined)) as unknown as AuditWanted;

/** An admin reads the record of the own organization and of no other. */
export const ownAuditRoutes = (deps: Deps) =>
  new Hono<Env>().get(
    "/",
    describe({
      operationId: "listOwnAudit",
      summary: "List the audit log of this organization, newest first",
      tags: ["Organizations"],
      answers,
      problems,
    }),
    requireAdmin(deps, "read"),
    query(ownAuditQuery),
    async (c) => {
      const chain = c.get("actor").organizationId.toHexString();
      const page = await readAudit(deps, { ...given(c.req.valid("query")), chain });
      return c.json({ ...page, entries: page.entries.map(forTenant) }, 200);
    },
  );

/** Where operators are is no business of a tenant's. */
const forTenant = (entry: EntryView): EntryView =>
  entry.who.kind === "operator" ? { ...entry, address: null } : entry;

export const platformAuditRoutes = (deps: Deps) =>
  new Hono<Env>().get(
    "/",
    describe({
      operationId: "listAudit",
      summary: "List the audit log of all organizations, newest first",
      tags: ["Platform"],
      answers,
      problems,
    }),
    requireOperator(deps, "audit:read"),
    query(platformAuditQuery),
    async (c) => {
      const { organization_id: chain, ...wanted } = c.req.valid("query");
      return c.json(await readAudit(deps, given({ ...wanted, chain })), 200);
    },
  );
