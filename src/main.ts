#!/usr/bin/env bun
import { Command } from "commander";
import { createClient, createDeps, prepare, startService } from "./boot.ts";
import { readConfig } from "./config.ts";
import { service, version } from "./lib/version.ts";
import { createLogger } from "./log.ts";
import { inspect } from "./takeover/inspect.ts";

const program = new Command(service)
  .description(
    "Deals every organization a place in MongoDB and signs its admin in. Settings are read from the environment.",
  )
  .version(version)
  .showHelpAfterError();

program
  .command("serve", { isDefault: true })
  .description("listen on HOST:PORT and finish operations that others left")
  .action(async () => {
    const config = readConfig(process.env);
    const running = await startService(config, createLogger(config.logLevel));
    const stop = () => void running.stop().then(() => process.exit(0));
    process.once("SIGTERM", stop).once("SIGINT", stop);
  });

program
  .command("health")
  .description(
    "ask the service on this machine whether it is healthy; exit code 0 or 1 (for a container's health check)",
  )
  .option("--url <url>", "where it listens", `http://127.0.0.1:${process.env.PORT || 8000}`)
  .action(async ({ url }: { url: string }) => {
    const answer = await fetch(`${url}/health`, { signal: AbortSignal.timeout(4_000) }).catch(() => null);
    console.log(answer ? await answer.text() : "no answer");
    process.exit(answer?.ok ? 0 : 1);
  });

program
  .command("inspect")
  .description("take a database of the first Croupier over and print what is damaged in it, one JSON object a line")
  .action(async () => {
    const config = readConfig(process.env);
    const deps = await createDeps(config, createClient(config.mongodbUrl), createLogger("silent"));
    await prepare(deps);
    for (const finding of await inspect(deps)) console.log(JSON.stringify(finding));
    await deps.close();
  });

try {
  await program.parseAsync();
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error));
  process.exit(1);
}
