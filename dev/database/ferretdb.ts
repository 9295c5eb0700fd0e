import { chownSync, existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { buildFerretdb } from "../ferretdb/build.ts";
import { asPostgresUser, postgresUserId } from "../ferretdb/postgres-user.ts";
import { startPostgres } from "../ferretdb/postgres.ts";
import { copyTemplate, superuser } from "../ferretdb/template.ts";
import { answers, freePort } from "../lib/net.ts";
import { startServer, waitUntil } from "../lib/process.ts";
import type { Scope } from "../lib/scope.ts";
import { inOwnFolder } from "./instance.ts";
import type { Link, Settings } from "./link.ts";

/** Needs nothing but a package mirror and the Go proxy: MongoDB's protocol on PostgreSQL, built once. */
export const ferretdbLink: Link = {
  name: "ferretdb",
  does: "FerretDB over DocumentDB (PostgreSQL), built once into the cache",
  remedy:
    "use Debian, whose package mirror carries PostgreSQL 18 with DocumentDB, and let it reach the Go module proxy",
  open: async (settings, scope, progress) => {
    if (process.platform !== "linux" || !Bun.which("apt-get")) throw new Error("it is built on Debian only");
    const build = await buildFerretdb(settings.cacheFolder, scope, progress);
    progress.stage("starting PostgreSQL and FerretDB");
    return inOwnFolder(settings, "ferretdb", scope, (folder) => start(build, folder, settings, scope));
  },
};

type Build = Awaited<ReturnType<typeof buildFerretdb>>;

async function start(build: Build, folder: string, settings: Settings, scope: Scope): Promise<string> {
  const cluster = join(folder, "postgres");
  if (!existsSync(cluster)) await copyTemplate(build.template, cluster, scope);
  const socketFolder = await startPostgres(build.postgres, cluster, folder, settings.purpose, scope);

  const state = join(folder, "ferretdb");
  mkdirSync(state, { recursive: true });
  if (postgresUserId !== undefined) chownSync(state, postgresUserId, postgresUserId);
  const port = settings.port ?? (await freePort());
  const command = [
    build.ferretdb,
    "--no-auth",
    "--telemetry=disable",
    `--listen-addr=127.0.0.1:${port}`,
    "--debug-addr=-",
    `--state-dir=${state}`,
    "--log-level=WARN",
  ];
  const server = startServer("ferretdb", asPostgresUser(command, "SIGTERM"), folder, scope, {
    env: { FERRETDB_POSTGRESQL_URL: `postgres://${superuser}@/postgres?host=${socketFolder}` },
  });
  const url = `mongodb://127.0.0.1:${port}/`;
  await waitUntil(() => answers(url, 1_000), server);
  return url;
}
