import { readFile } from "node:fs/promises";
import type { Command } from "commander";
import { keptSince } from "../audit/retain.ts";
import { isChain, readNotes, verify } from "../audit/verify.ts";
import type { Config } from "../config.ts";
import { chainedOrganizations } from "../organization/all/chained.ts";
import { printLine, withDeps } from "./with-deps.ts";

export function addAudit(program: Command, readSettings: () => Config): void {
  program
    .command("audit")
    .description("check the audit log")
    .command("verify")
    .description("check that the audit log is complete and unaltered; exit code 0 if it is, else 1")
    .option(
      "--organization <id>",
      "check only this organization's chain; `platform` is the chain of everything that belongs to no organization",
    )
    .option(
      "--against <file>",
      "earlier output of this command, one or several runs: the entries it names must still exist",
    )
    .addHelpText(
      "after",
      `
Prints one JSON object per line for each chain: the number of entries, position and time of the first and the last entry, and
the hash of the last one. "broken" lists positions ("seq") at which an entry is altered, reordered, missing or cut off. "intact"
is null if no chain exists and none is expected: for an organization of the first Croupier that has done nothing since. Anyone
who can write to the database can rewrite a whole chain, or remove its beginning as if it had expired. So keep the output of
each day somewhere else, and pass all of it back with --against: entries named there may only be missing if they are older than
AUDIT_RETENTION_DAYS, as it is set for this command. It can run while services are running.`,
    )
    .action(async ({ organization, against }: { organization?: string; against?: string }) => {
      if (organization !== undefined && !isChain(organization)) {
        throw new Error("--organization must be an organization id (24 hexadecimal digits) or platform");
      }
      const notes = readNotes(against === undefined ? "" : await readFile(against, "utf8"));
      const intact = await withDeps(readSettings(), (deps) => {
        const expected = { notes, keptSince: keptSince(deps), organizations: chainedOrganizations(deps.db) };
        return verify(deps, organization ?? null, printLine, expected);
      });
      process.exit(intact ? 0 : 1);
    });
}
