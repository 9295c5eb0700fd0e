import { existsSync, mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { inOwnFolder } from "./instance.ts";
import type { Link } from "./link.ts";
import { startReplicaSet } from "./replica-set.ts";

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
    const binary = await findBinary(folder);
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
