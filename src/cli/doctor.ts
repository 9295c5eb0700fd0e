import type { Command } from "commander";
import type { Config } from "../config.ts";
import { doctor } from "../fleet/doctor.ts";
import { printLine, withDeps } from "./with-deps.ts";

export function addDoctor(program: Command, readSettings: () => Config): void {
  program
    .command("doctor")
    .description(
      "find what is damaged or left over in all organizations' places; exit code 0 when nothing is left to mend",
    )
    .option("--repair", "mend what can be shown to be missing or a leftover", false)
    .addHelpText(
      "after",
      `
Prints one JSON object a line: what was found, and "mended": true (it is right now), false (--repair can mend it) or null
(in doubt: it is for you to look at). It finds collections and databases of no organization, organizations without their
storage, missing and left-over indexes, documents of no tenant, of another one or at a place that was left, operations that
don't go on or keep failing, what moves have left, and damaged records (as "inspect" does). Without --repair it changes nothing. What can't
be shown to be a leftover is never removed: neither a view, a time series, a capped collection or one with options, nor an
empty collection that no record names, whatever it is called. It may run beside services, with moves going on.`,
    )
    .action(async ({ repair }: { repair: boolean }) => {
      const left = await withDeps(readSettings(), (deps) => doctor(deps, { repair }, printLine));
      process.exit(left === 0 ? 0 : 1);
    });
}
