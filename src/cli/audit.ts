import { readFile } from "node:fs/promises";
import type { Command } from "commander";
import { keptSince } from "../audit/retain.ts";
import { isChain, readNotes, verify } from "../audit/verify.ts";
import type { Config } from "../config.ts";
import { chainedOrganizations } from "../organization/chained.ts";
import { printLine, withDeps } from "./with-deps.ts";

export function addAudit(program: Command, readSettings: () => Config): void {
  program
    .command("audit")
    .description("the record of who did what")
    .command("verify")
    .description("check that the record is whole and unaltered; exit code 0 when it is, 1 when it isn't")
    .option("--organization <id>", "check this organization's chain only; platform is what belongs to none")
    .option(
      "--against <file>",
      "what this printed earlier, once or often: the entries that it names have to be there still",
    )
    .addHelpText(
      "after",
      `
Prints one JSON object a line for each chain: how many entries it has, place and time of the first and the last one, and the
hash of that. "broken" says at which place ("seq") an entry is altered, reordered, missing or cut off. "intact" is null where
there is no chain yet and needn't be: of an organization of the first Croupier that has done nothing since. Whoever can write to the
database can write a whole chain anew, or remove its beginning as if that were old: keep what this prints each day somewhere
else and give all of it back with --against. What it names may be gone only when it is older than AUDIT_RETENTION_DAYS, as that
is set for this command. It may run beside services.`,
    )
    .action(async ({ organization, against }: { organization?: string; against?: string }) => {
      if (organization !== undefined && !isChain(organization)) {
        throw new Error("--organization must be an organization's id, 24 hexadecimal digits, or platform");
      }
      const notes = readNotes(against === undefined ? "" : await readFile(against, "utf8"));
      const intact = await withDeps(readSettings(), (deps) => {
        const expected = { notes, keptSince: keptSince(deps), organizations: chainedOrganizations(deps.db) };
        return verify(deps, organization ?? null, printLine, expected);
      });
      process.exit(intact ? 0 : 1);
    });
}
