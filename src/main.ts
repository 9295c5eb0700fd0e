#!/usr/bin/env bun
import { Command } from "commander";
import { addAudit } from "./cli/audit.ts";
import { addDoctor } from "./cli/doctor.ts";
import { addHealth } from "./cli/health.ts";
import { addKey } from "./cli/key.ts";
import { addRecover } from "./cli/recover.ts";
import { addServe } from "./cli/serve.ts";
import { addTakeOver } from "./cli/take-over.ts";
import { readConfig } from "./config.ts";
import { urlToAsk } from "./lib/net/address.ts";
import { wordsOf } from "./lib/scrub.ts";
import { service, version } from "./lib/version.ts";

const program = new Command(service)
  .description(
    "Multi-tenancy for MongoDB: gives every organization a place for its documents and signs its admin in. Settings are read from the environment.",
  )
  .version(version)
  .showHelpAfterError();

const readSettings = () => readConfig(process.env);
addServe(program, readSettings);
addHealth(program, urlToAsk(process.env));
addTakeOver(program, readSettings);
addDoctor(program, readSettings);
addKey(program, readSettings);
addRecover(program, readSettings);
addAudit(program, readSettings);

try {
  await program.parseAsync();
} catch (error) {
  console.error(wordsOf(error));
  process.exit(1);
}
