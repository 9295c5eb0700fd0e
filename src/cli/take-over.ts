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
      "complete the records of a database of the first Croupier, as the start of a service does, and print how many",
    )
    .action(async () => printLine(await withDeps(readSettings(), prepare)));
  program
    .command("inspect")
    .description("print what is damaged in the records, one JSON object a line; changes nothing")
    .action(async () => {
      const findings = await withDeps(readSettings(), async (deps) => {
        if (await isTakenOver(deps.db)) return await inspect(deps);
        throw new Error("Records of the first Croupier aren't completed: run croupier take-over first.");
      });
      for (const finding of findings) printLine(finding);
    });
}
