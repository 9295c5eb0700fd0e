import type { Command } from "commander";
import type { Config } from "../config.ts";
import { createLogger } from "../log.ts";
import { startService } from "../serve.ts";

export function addServe(program: Command, readSettings: () => Config): void {
  program
    .command("serve", { isDefault: true })
    .description(
      "listen on HOST:PORT and finish operations that others left; SIGHUP reads the keys of the tokens again",
    )
    .action(async () => {
      const config = readSettings();
      const running = await startService(config, createLogger(config.logLevel));
      const stop = () => void running.stop().then(() => process.exit(0));
      process.once("SIGTERM", stop).once("SIGINT", stop);
      process.on("SIGHUP", () => void running.reloadKeys());
    });
}
