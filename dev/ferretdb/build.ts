import { existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { lock } from "../lib/lock.ts";
import type { Progress } from "../lib/progress.ts";
import { createScope, type Scope } from "../lib/scope.ts";
import { compileFerretdb } from "./go.ts";
import { unpackPostgres } from "./postgres-programs.ts";
import { createTemplate } from "./template.ts";

/** Raise it when what is built changes: the old build stays unused, a new one is made. */
const buildName = "ferretdb-2.7.0-1";

/** Where the parts are; makes what is missing. A part is either whole or not there. */
export async function buildFerretdb(cacheFolder: string, scope: Scope, progress: Progress) {
  const folder = join(cacheFolder, buildName);
  const postgres = join(folder, "postgres");
  const binaries = join(folder, "bin");
  const template = join(folder, "template");
  const build = { postgres, template, ferretdb: join(binaries, "ferretdb") };
  if ([postgres, binaries, template].every((part) => existsSync(part))) return build;

  mkdirSync(folder, { recursive: true });
  const building = createScope();
  scope.defer(building.close);
  await lock(join(folder, "build.lock"), building, () => progress.stage("waiting for another process that builds it"));
  const stageOf = splitStages(progress);
  const makePostgres = async () => {
    await whole(postgres, (part) => unpackPostgres(part, building, stageOf("PostgreSQL")));
    await whole(template, (part) => createTemplate(postgres, part, building));
    stageOf("PostgreSQL")("ready");
  };
  await Promise.all([makePostgres(), whole(binaries, (part) => compileFerretdb(part, building, stageOf("FerretDB")))]);
  await building.close();
  return build;
}

/** Two things go on at once: shows the latest of each. */
function splitStages(progress: Progress) {
  const stages = new Map<string, string>();
  return (part: string) => (text: string) => {
    stages.set(part, text);
    progress.stage([...stages].map((each) => each.join(": ")).join("; "));
  };
}

/** Makes a part under another name and renames it when it is whole, so that an interrupted build leaves no half one. */
async function whole(part: string, make: (partial: string) => Promise<void>): Promise<void> {
  if (existsSync(part)) return;
  const partial = `${part}.partial`;
  rmSync(partial, { recursive: true, force: true });
  mkdirSync(partial);
  await make(partial);
  renameSync(partial, part);
}
