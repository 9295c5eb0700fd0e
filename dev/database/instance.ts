import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { tryLock } from "../lib/lock.ts";
import { answers } from "../lib/net.ts";
import { commandLine } from "../lib/process-table.ts";
import { createScope, type Scope } from "../lib/scope.ts";
import type { Settings } from "./link.ts";

/**
 * Gives `start` a data folder that belongs to this process alone, and returns the address that `start` returns.
 *
 * `dev` has one folder that stays; a second `dev` is handed the address of the first. Each `test` has a folder of its
 * own that goes when the scope closes. What a killed process left behind (folders, servers) is cleared first.
 */
export async function inOwnFolder(
  settings: Settings,
  linkName: string,
  scope: Scope,
  start: (folder: string) => Promise<string>,
): Promise<string> {
  if (settings.purpose === "dev") return inSharedFolder(join(settings.dataFolder, `${linkName}-dev`), scope, start);

  const prefix = `${linkName}-test-`;
  mkdirSync(settings.dataFolder, { recursive: true });
  await removeAbandoned(settings.dataFolder, prefix);
  const folder = join(settings.dataFolder, prefix + crypto.randomUUID().slice(0, 8));
  // The lock first: without it another test that starts now would take the folder for an abandoned one.
  scope.defer(() => rmSync(lockFile(folder), { force: true }));
  if (!tryLock(lockFile(folder), scope)) throw new Error(`${folder} is in use`);
  mkdirSync(folder);
  scope.defer(() => rmSync(folder, { recursive: true, force: true }));
  return start(folder);
}

async function inSharedFolder(
  folder: string,
  scope: Scope,
  start: (folder: string) => Promise<string>,
): Promise<string> {
  const urlFile = join(folder, "url");
  mkdirSync(folder, { recursive: true });
  for (;;) {
    if (tryLock(lockFile(folder), scope)) {
      await endLeftovers(folder);
      rmSync(urlFile, { force: true });
      const url = await start(folder);
      writeFileSync(urlFile, url);
      return url;
    }
    const url = existsSync(urlFile) ? readFileSync(urlFile, "utf8") : "";
    if (url && (await answers(url, 1_000))) return url;
    await Bun.sleep(200);
  }
}

/** A folder whose lock is free has no owner any more. */
async function removeAbandoned(dataFolder: string, prefix: string): Promise<void> {
  for (const name of readdirSync(dataFolder)) {
    if (!name.startsWith(prefix) || !name.endsWith(".lock")) continue;
    const folder = join(dataFolder, name.slice(0, -".lock".length));
    const scope = createScope();
    if (tryLock(lockFile(folder), scope)) {
      await endLeftovers(folder);
      rmSync(folder, { recursive: true, force: true });
      rmSync(lockFile(folder), { force: true });
    }
    await scope.close();
  }
}

/** Ends servers that still work in this folder although the process that started them is gone. */
async function endLeftovers(folder: string): Promise<void> {
  if (!existsSync(folder)) return;
  for (const name of readdirSync(folder).filter((name) => name.endsWith(".pid"))) {
    const pid = Number(readFileSync(join(folder, name), "utf8"));
    const giveUpAt = performance.now() + 5_000;
    while (worksIn(folder, pid)) {
      kill(pid, performance.now() < giveUpAt ? "SIGINT" : "SIGKILL");
      await Bun.sleep(50);
    }
    rmSync(join(folder, name), { force: true });
  }
}

/** A process id alone may belong to another program by now: the command line has to name the folder as well. */
function worksIn(folder: string, pid: number): boolean {
  if (!Number.isInteger(pid) || pid <= 0) return false;
  return commandLine(pid).includes(folder);
}

function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It ended by itself in the meantime.
  }
}

function lockFile(folder: string): string {
  return `${folder}.lock`;
}
