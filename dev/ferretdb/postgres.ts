import { createHash } from "node:crypto";
import { appendFileSync, chmodSync, chownSync, existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Purpose } from "../database/link.ts";
import { run, startServer, waitUntil } from "../lib/process.ts";
import { createScope, type Scope } from "../lib/scope.ts";
import { program } from "./postgres-programs.ts";
import { asPostgresUser, postgresUserId } from "./postgres-user.ts";

const superuser = "croupier";

/** Options of every cluster. The default of max_locks_per_transaction is too few to drop a database of 2,000 collections. */
const configuration = `
listen_addresses = ''
unix_socket_permissions = 0700
shared_preload_libraries = 'pg_cron,pg_documentdb_core,pg_documentdb'
cron.database_name = 'postgres'
cron.log_run = off
cron.log_statement = off
max_locks_per_transaction = 1024
max_connections = 200
shared_buffers = 256MB
deadlock_timeout = 100ms
synchronous_commit = off
jit = off
log_min_messages = warning
`;

/** Data that is thrown away need not survive a power cut. */
const throwAway = ["fsync=off", "full_page_writes=off", "max_wal_size=4GB", "checkpoint_timeout=30min"];

/** A cluster with the extension in it, from which each instance is copied: a second instead of three. */
export async function createTemplate(postgresFolder: string, folder: string, scope: Scope): Promise<void> {
  const cluster = join(folder, "cluster");
  createFolder(cluster);
  const options = [
    "--username",
    superuser,
    "--auth=trust",
    "--encoding=UTF8",
    "--locale=C",
    "--no-sync",
    "--no-data-checksums",
  ];
  const initdb = [program(postgresFolder, "initdb"), "--pgdata", cluster, ...options];
  await run(asPostgresUser(initdb, "SIGTERM"), scope, { env: environment(postgresFolder) });
  appendFileSync(join(cluster, "postgresql.conf"), configuration);

  const running = createScope();
  scope.defer(running.close);
  const socketFolder = await startPostgres(postgresFolder, cluster, folder, "test", running);
  const sql = "CREATE EXTENSION documentdb CASCADE";
  const psql = [
    program(postgresFolder, "psql"),
    "--no-psqlrc",
    "-h",
    socketFolder,
    "-U",
    superuser,
    "-c",
    sql,
    "postgres",
  ];
  await run(psql, scope);
  await running.close();
}

/** Copies the template's cluster; a copy that was interrupted is not taken for a whole one. */
export async function copyCluster(template: string, cluster: string, scope: Scope): Promise<void> {
  const partial = `${cluster}.partial`;
  rmSync(partial, { recursive: true, force: true });
  await run(["cp", "--archive", "--reflink=auto", join(template, "cluster"), partial], scope);
  await run(["mv", partial, cluster], scope);
}

/**
 * Starts PostgreSQL and returns the folder of its socket, the only door: it listens on no port, and as nobody else may
 * enter that folder it needs no password. The folder is a short one in /tmp, as a socket's path must be under 108 bytes.
 */
export async function startPostgres(
  postgresFolder: string,
  cluster: string,
  folder: string,
  purpose: Purpose,
  scope: Scope,
): Promise<string> {
  const socketFolder = join(tmpdir(), `croupier-${createHash("sha256").update(cluster).digest("hex").slice(0, 12)}`);
  rmSync(socketFolder, { recursive: true, force: true });
  createFolder(socketFolder);
  scope.defer(() => rmSync(socketFolder, { recursive: true, force: true }));

  const settings = [
    `unix_socket_directories=${socketFolder}`,
    // Both connect to their own server, for work in the background.
    `cron.host=${socketFolder}`,
    `documentdb.localhost_connection_string=host=${socketFolder}`,
    ...(purpose === "test" ? throwAway : []),
  ];
  const command = [program(postgresFolder, "postgres"), "-D", cluster, ...settings.flatMap((each) => ["-c", each])];
  const server = startServer("postgres", asPostgresUser(command, "SIGINT"), folder, scope, {
    env: environment(postgresFolder),
    stopSignal: "SIGINT",
  });
  const stateFile = join(cluster, "postmaster.pid");
  await waitUntil(() => existsSync(stateFile) && /^ready/m.test(readFileSync(stateFile, "utf8")), server);
  return socketFolder;
}

/** What the machine's own language and C library settings say is not meant for this PostgreSQL. */
function environment(postgresFolder: string): Record<string, string | undefined> {
  return { LC_ALL: "C", TZ: "UTC", LD_LIBRARY_PATH: undefined, PROJ_DATA: join(postgresFolder, "usr/share/proj") };
}

function createFolder(folder: string): void {
  mkdirSync(folder);
  chmodSync(folder, 0o700);
  if (postgresUserId !== undefined) chownSync(folder, postgresUserId, postgresUserId);
}
