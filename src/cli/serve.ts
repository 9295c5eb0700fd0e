import type { Command } from "commander";
import { type Config, settingRows } from "../config.ts";
import type { SettingRow } from "../lib/settings.ts";
import { createLogger } from "../log.ts";
import { startService } from "../serve.ts";

const helpOf = ({ name, fallback, meaning }: SettingRow): string =>
  `  ${name}${fallback && ` (${fallback})`}\n      ${meaning}`.replace(/`|\[([^\]]*)\]\([^)]*\)/g, "$1");

export function addServe(program: Command, readSettings: () => Config): void {
  program
    .command("serve", { isDefault: true })
    .description("run the service on HOST:PORT and finish abandoned operations; SIGHUP reloads the token keys")
    .addHelpText("after", `\nSettings, from the environment:\n${settingRows.map(helpOf).join("\n")}`)
    .action(async () => {
      const config = readSettings();
      const running = await startService(config, createLogger(config.logLevel));
      const stop = () => void running.stop().then(() => process.exit(0));
      process.once("SIGTERM", stop).once("SIGINT", stop);
      process.on("SIGHUP", () => void running.reloadKeys());
    });
}
