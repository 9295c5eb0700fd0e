import type { Command } from "commander";
import type { Config } from "../config.ts";
import { prepare } from "../prepare.ts";
import { inspect } from "../takeover/inspect.ts";
import { isTakenOver } from "../takeover/take-over.ts";
import { printLine, withDeps } from "./with-deps.ts";

/** The commands for a database of the first Croupier. */
export function addTakeOver(program: Command, readSettings: () => Config): void {
  program
    .command("take-over")
    .description(
      "complete the records of a database of the first Croupier, as the service does when it starts, and print how many",
    )
    .action(async () => printLine(await withDeps(readSettings(), prepare)));
  program
    .command("inspect")
    .description("print damaged records, one JSON object per line; changes nothing")
    .action(async () => {
      const findings = await withDeps(readSettings(), async (deps) => {
        if (await isTakenOver(deps.db)) return await inspect(deps);
        throw new Error("The records of the first Croupier are not completed yet; run `croupier take-over` first.");
      });
      for (const finding of findings) printLine(finding);
    });
}
