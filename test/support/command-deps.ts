import type { Db } from "mongodb";
import { commandLine } from "../../src/audit/audit.ts";
import type { AuditDeps } from "../../src/audit/audited.ts";
import { createAuditor } from "../../src/audit/auditor.ts";
import { flows } from "../../src/flows/index.ts";
import { limitedAs } from "../../src/http/edge/address.ts";
import { createLogger } from "../../src/log.ts";

/** What an act needs that somebody does at the command line of the server, on a database that is open already. */
export function depsOfCommand(db: Db): AuditDeps {
  const now = () => new Date();
  const log = createLogger("silent");
  return { db, now, log, audit: createAuditor({ db, flows, now, log, sourceOf: limitedAs }), origin: commandLine };
}
