import { Database as Sqlite } from "bun:sqlite";
import type { Scope } from "./scope.ts";

/**
 * Takes the lock that `file` stands for until the scope closes; false when another process holds it.
 *
 * An exclusive SQLite transaction is a lock of the operating system on every platform: when its holder dies, of
 * kill -9 too, it is free at once. A file with a process id in it would have to be doubted. (Something has to hold on to
 * the scope: with it, the garbage collector would take the lock.)
 */
export function tryLock(file: string, scope: Scope): boolean {
  const lock = new Sqlite(file);
  try {
    lock.run("PRAGMA busy_timeout = 0");
    lock.run("PRAGMA journal_mode = MEMORY");
    lock.run("BEGIN EXCLUSIVE");
  } catch (error) {
    lock.close();
    if (error instanceof Error && "code" in error && error.code === "SQLITE_BUSY") return false;
    throw error;
  }
  scope.defer(() => lock.close());
  return true;
}

/** Waits until the lock is free, then holds it until the scope closes. */
export async function lock(file: string, scope: Scope, whenBusy: () => void): Promise<void> {
  if (tryLock(file, scope)) return;
  whenBusy();
  do await Bun.sleep(200);
  while (!tryLock(file, scope));
}
