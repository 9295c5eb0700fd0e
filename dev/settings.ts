import { homedir } from "node:os";
import { join, resolve } from "node:path";
import type { Purpose, Settings } from "./database/link.ts";

export function settingsFor(purpose: Purpose, port?: number): Settings {
  const repositoryFolder = resolve(import.meta.dir, "..");
  const caches = process.env.XDG_CACHE_HOME || join(homedir(), ".cache");
  return {
    purpose,
    repositoryFolder,
    dataFolder: join(repositoryFolder, ".croupier"),
    cacheFolder: join(caches, "croupier"),
    port,
  };
}
