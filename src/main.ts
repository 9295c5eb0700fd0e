#!/usr/bin/env bun
import { readFile } from "node:fs/promises";
import { Command } from "commander";
import { keptSince } from "./audit/retain.ts";
import { type ChainReport, isChain, readNotes, verify } from "./audit/verify.ts";
import { createClient, createDeps, prepare, startService } from "./boot.ts";
import { readConfig } from "./config.ts";
import { doctor } from "./fleet/doctor.ts";
import { addKeyCommands } from "./key-commands.ts";
import { urlToAsk } from "./lib/address.ts";
import { assertFollowsPrimary } from "./lib/primary.ts";
import { service, version } from "./lib/version.ts";
import { wordsOf } from "./lib/scrub.ts";
import { createLogger } from "./log.ts";
import { chainedOrganizations } from "./organization/chained.ts";
import { inspect } from "./takeover/inspect.ts";

/** What a command needs that may run beside services and says nothing but what it finds. */
async function openDeps() {
  const config = readConfig(process.env);
  const deps = await createDeps(config, createClient(config.mongodbUrl), createLogger("silent"));
  await assertFollowsPrimary(deps.db);
  return deps;
}

const program = new Command(service)
  .description(
    "Deals every organization a place in MongoDB and signs its admin in. Settings are read from the environment.",
  )
  .version(version)
  .showHelpAfterError();

program
  .command("serve", { isDefault: true })
  .description("listen on HOST:PORT and finish operations that others left; SIGHUP reads the keys of the tokens again")
  .action(async () => {
    const config = readConfig(process.env);
    const running = await startService(config, createLogger(config.logLevel));
    const stop = () => void running.stop().then(() => process.exit(0));
    process.once("SIGTERM", stop).once("SIGINT", stop);
    process.on("SIGHUP", () => void running.reloadKeys());
  });

program
  .command("health")
  .description(
    "ask the service on this machine whether it is healthy; exit code 0 or 1 (for a container's health check)",
  )
  .option("--url <url>", "where it listens", urlToAsk(process.env))
  .action(async ({ url }: { url: string }) => {
    const answer = await fetch(`${url}/health`, { signal: AbortSignal.timeout(4_000) }).catch(() => null);
    console.log(answer ? await answer.text() : "no answer");
    process.exit(answer?.ok ? 0 : 1);
  });

program
  .command("inspect")
  .description("take a database of the first Croupier over and print what is damaged in it, one JSON object a line")
  .action(async () => {
    const deps = await openDeps();
    await prepare(deps);
    for (const finding of await inspect(deps)) console.log(JSON.stringify(finding));
    await deps.close();
  });

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
    const deps = await openDeps();
    const left = await doctor(deps, { repair }, (finding) => console.log(JSON.stringify(finding)));
    await deps.close();
    process.exit(left === 0 ? 0 : 1);
  });

addKeyCommands(program, () => readConfig(process.env));
const audit = program.command("audit").description("the record of who did what");

audit
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
    const deps = await openDeps();
    const print = (chain: ChainReport) => console.log(JSON.stringify(chain));
    const expected = { notes, keptSince: keptSince(deps), organizations: chainedOrganizations(deps.db) };
    const intact = await verify(deps, organization ?? null, print, expected);
    await deps.close();
    process.exit(intact ? 0 : 1);
  });

try {
  await program.parseAsync();
} catch (error) {
  console.error(wordsOf(error));
  process.exit(1);
}
