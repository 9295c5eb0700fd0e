import type { Db } from "mongodb";
import { commandLine } from "./audit/audit.ts";
import type { AuditDeps } from "./audit/audited.ts";
import { createAuditor } from "./audit/auditor.ts";
import { flows } from "./flows/index.ts";
import { limitedAs } from "./http/address.ts";
import { createLogger } from "./log.ts";

/** What an act needs that somebody does at the command line of the server; `audit.flush` before the client is closed. */
export function depsOfCommand(db: Db): AuditDeps {
  const now = () => new Date();
  const log = createLogger("silent");
  return { db, now, log, audit: createAuditor({ db, flows, now, log, sourceOf: limitedAs }), origin: commandLine };
}
