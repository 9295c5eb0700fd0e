import { existsSync, mkdirSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { inOwnFolder } from "./instance.ts";
import type { Link } from "./link.ts";
import { startReplicaSet } from "./replica-set.ts";

const stallMs = 15_000;
const defaultMirror = "https://fastdl.mongodb.org";

/** MongoDB's own download, by mongodb-memory-server, which knows the right archive for each system. */
export const memoryServerLink: Link = {
  name: "memory-server",
  does: "MongoDB's download (by mongodb-memory-server)",
  remedy: "let this machine reach MongoDB's download, or name a mirror of it in MONGOMS_DOWNLOAD_MIRROR",
  open: async (settings, scope, progress) => {
    const folder = join(settings.cacheFolder, "mongodb-binaries");
    if (!isDownloaded(folder)) {
      progress.stage("looking for MongoDB's download");
      await assertReachable(process.env.MONGOMS_DOWNLOAD_MIRROR ?? defaultMirror);
      progress.stage("downloading MongoDB, once");
    }
    const binary = await Promise.race([findBinary(folder), failWhenStalled(folder)]);
    progress.stage("starting mongod");
    return inOwnFolder(settings, "memory-server", scope, (data) => startReplicaSet(binary, data, scope, settings.port));
  },
};

/** The package writes the checksum of `mongod` beside it when it is whole. */
function isDownloaded(folder: string): boolean {
  return existsSync(folder) && readdirSync(folder).some((name) => name.endsWith(".md5"));
}

/** The package itself tries for minutes before it gives up. */
async function assertReachable(mirror: string): Promise<void> {
  await fetch(mirror, { method: "HEAD", signal: AbortSignal.timeout(2_000) }).catch(() => {
    throw new Error("MongoDB's download cannot be reached");
  });
}

async function findBinary(folder: string): Promise<string> {
  mkdirSync(folder, { recursive: true });
  // Without this the package accepts any TLS certificate.
  process.env.npm_config_strict_ssl = "true";
  const { MongoBinary } = await import("mongodb-memory-server-core");
  return MongoBinary.getPath({ downloadDir: folder, checkMD5: true });
}

/** Rejects when the folder has not grown for a while; of a download that stands still the package notices nothing. */
async function failWhenStalled(folder: string): Promise<never> {
  let size = -1;
  for (let still = 0; still < stallMs; still += 1_000) {
    await Bun.sleep(1_000);
    const now = sizeOf(folder);
    if (now !== size) still = 0;
    size = now;
  }
  throw new Error("MongoDB's download stands still");
}

function sizeOf(folder: string): number {
  if (!existsSync(folder)) return 0;
  const files = readdirSync(folder).map((name) => statSync(join(folder, name), { throwIfNoEntry: false }));
  return files.reduce((sum, file) => sum + (file?.size ?? 0), 0);
}
