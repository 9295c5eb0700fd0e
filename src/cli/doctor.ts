import type { Command } from "commander";
import type { Config } from "../config.ts";
import { doctor } from "../fleet/doctor.ts";
import { printLine, withDeps } from "./with-deps.ts";

export function addDoctor(program: Command, readSettings: () => Config): void {
  program
    .command("doctor")
    .description(
      "find damage and leftovers in the storage of all organizations; exit code 0 if nothing is left to repair",
    )
    .option("--repair", "repair what is provably missing or left over", false)
    .addHelpText(
      "after",
      `
Prints one JSON object per line for each finding. "mended": true means that it is fixed now, false that --repair can fix it,
null that it is unclear and needs a person. It looks for collections and databases that belong to no organization, organizations
without their storage, missing and left-over indexes, documents that belong to no tenant or to another one or are where their
tenant no longer is, operations that are stuck or keep failing, remains of moves, and damaged records (as "inspect" does).
Without --repair it changes nothing. Only what the records prove to be a leftover is ever removed: never a view, a time series,
a capped collection or one with options, nor an empty collection that no record names. It can run while services and moves are
running.`,
    )
    .action(async ({ repair }: { repair: boolean }) => {
      const left = await withDeps(readSettings(), (deps) => doctor(deps, { repair }, printLine));
      process.exit(left === 0 ? 0 : 1);
    });
}
