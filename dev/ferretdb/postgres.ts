import { createHash } from "node:crypto";
import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Purpose } from "../database/link.ts";
import { startServer, waitUntil } from "../lib/process.ts";
import type { Scope } from "../lib/scope.ts";
import { environment, program } from "./postgres-programs.ts";
import { asPostgresUser, postgresUserId } from "./postgres-user.ts";

/** The kernel's own limit (PID_MAX_LIMIT). */
const maximumPid = 2 ** 22;

/**
 * Starts PostgreSQL on the cluster and returns the folder of its socket, its only door: it listens on no port, and as
 * nobody else may enter that folder it needs no password. The folder is a short one in /tmp, as a socket's path must be
 * under 108 bytes.
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
  makePrivateFolder(socketFolder);
  scope.defer(() => rmSync(socketFolder, { recursive: true, force: true }));

  forgetKilledOwner(cluster);
  const configurationFile = join(folder, "postgres.conf");
  writeFileSync(configurationFile, configuration(socketFolder) + (purpose === "test" ? throwAway : ""));
  const command = [program(postgresFolder, "postgres"), "-D", cluster, "-c", `config_file=${configurationFile}`];
  const server = startServer("postgres", asPostgresUser(command, "SIGINT"), folder, scope, {
    env: environment(postgresFolder),
    stopSignal: "SIGINT",
  });
  await waitUntil(() => isReady(cluster, server.pid), server);
  return socketFolder;
}

/**
 * The two addresses in it are the server's own, for its work in the background. The default of max_locks_per_transaction
 * is too low to drop a database of 2,000 collections; deadlock_timeout is how long two inserts of one unique key wait for
 * each other; at log level "error" DocumentDB writes four lines for each new collection.
 */
function configuration(socketFolder: string): string {
  return `
listen_addresses = ''
unix_socket_directories = '${socketFolder}'
unix_socket_permissions = 0700
shared_preload_libraries = 'pg_cron,pg_documentdb_core,pg_documentdb'
documentdb.localhost_connection_string = 'host=${socketFolder}'
cron.host = '${socketFolder}'
cron.database_name = 'postgres'
cron.use_background_workers = on
cron.log_run = off
cron.log_statement = off
max_connections = 200
max_worker_processes = 16
max_locks_per_transaction = 1024
shared_buffers = 256MB
deadlock_timeout = 100ms
synchronous_commit = off
jit = off
timezone = 'UTC'
default_text_search_config = 'pg_catalog.english'
log_min_messages = fatal
`;
}

/** Data that is thrown away need not survive a power cut. */
const throwAway = `
fsync = off
full_page_writes = off
max_wal_size = 4GB
checkpoint_timeout = 30min
`;

/**
 * PostgreSQL does not start while the process of its state file seems to live, and a killed one that nobody reaped (in a
 * container without init) seems to for ever. Our own lock has told already that it is dead. Only its number is replaced,
 * by one that no process can have: the rest lets PostgreSQL see whether others of that server still work on the data.
 */
function forgetKilledOwner(cluster: string): void {
  const file = stateFile(cluster);
  if (existsSync(file)) writeFileSync(file, readFileSync(file, "utf8").replace(/^\d+/, `${maximumPid + 1}`));
}

/** The first line of the state file tells whose it is (a killed PostgreSQL leaves its own), the last how it is. */
function isReady(cluster: string, pid: number): boolean {
  const file = stateFile(cluster);
  const state = existsSync(file) ? readFileSync(file, "utf8") : "";
  return state.startsWith(`${pid}\n`) && /^ready/m.test(state);
}

function stateFile(cluster: string): string {
  return join(cluster, "postmaster.pid");
}

/** A folder that only PostgreSQL's user may enter. */
export function makePrivateFolder(folder: string): void {
  mkdirSync(folder);
  chmodSync(folder, 0o700);
  if (postgresUserId !== undefined) chownSync(folder, postgresUserId, postgresUserId);
}
