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
    "Multi-tenancy for MongoDB: gives every organization a place for its documents and signs its admin in. Settings are read from the environment.",
  )
  .version(version)
  .showHelpAfterError();

program
  .command("serve", { isDefault: true })
  .description("run the service on HOST:PORT and finish abandoned operations; SIGHUP reloads the token keys")
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
    "check the health of the service on this machine; exit code 0 if it is healthy, else 1 (for container health checks)",
  )
  .option("--url <url>", "address of the service", urlToAsk(process.env))
  .action(async ({ url }: { url: string }) => {
    const answer = await fetch(`${url}/health`, { signal: AbortSignal.timeout(4_000) }).catch(() => null);
    console.log(answer ? await answer.text() : "no answer");
    process.exit(answer?.ok ? 0 : 1);
  });

program
  .command("inspect")
  .description("take over a database of the first Croupier and print damaged records, one JSON object per line")
  .action(async () => {
    const deps = await openDeps();
    await prepare(deps);
    for (const finding of await inspect(deps)) console.log(JSON.stringify(finding));
    await deps.close();
  });

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
null that it is unclear and needs a person. It looks for collections and databases of no organization, organizations without
their storage, missing and left-over indexes, documents of no tenant, of another tenant or at a place that a tenant has left,
operations that are stuck or keep failing, remains of moves, and damaged records (as "inspect" does). Without --repair it
changes nothing. Only what the records prove to be a leftover is ever removed: never a view, a time series, a capped
collection or one with options, nor an empty collection that no record names. It can run while services and moves are running.`,
  )
  .action(async ({ repair }: { repair: boolean }) => {
    const deps = await openDeps();
    const left = await doctor(deps, { repair }, (finding) => console.log(JSON.stringify(finding)));
    await deps.close();
    process.exit(left === 0 ? 0 : 1);
  });

addKeyCommands(program, () => readConfig(process.env));
const audit = program.command("audit").description("check the audit log");

audit
  .command("verify")
  .description("check that the audit log is complete and unaltered; exit code 0 if it is, else 1")
  .option(
    "--organization <id>",
    "check only this organization's chain; `platform` is the chain of everything that belongs to no organization",
  )
  .option(
    "--against <file>",
    "earlier output of this command, one or several runs: the entries it names must still exist",
  )
  .addHelpText(
    "after",
    `
Prints one JSON object per line for each chain: the number of entries, position and time of the first and the last entry, and
the hash of the last one. "broken" lists positions ("seq") at which an entry is altered, reordered, missing or cut off. "intact"
is null where no chain exists and none has to: for an organization of the first Croupier that has done nothing since. Anyone
who can write to the database can rewrite a whole chain, or remove its beginning as if it had expired. So keep the output of
each day somewhere else, and pass all of it back with --against: entries named there may only be missing if they are older than
AUDIT_RETENTION_DAYS, as it is set for this command. It can run while services are running.`,
  )
  .action(async ({ organization, against }: { organization?: string; against?: string }) => {
    if (organization !== undefined && !isChain(organization)) {
      throw new Error("--organization must be an organization id (24 hexadecimal digits) or platform");
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
