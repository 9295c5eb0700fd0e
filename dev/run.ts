import { constants } from "node:os";
import { openDatabase } from "./database/chain.ts";
import type { Purpose } from "./database/link.ts";
import { onStopSignal } from "./lib/signals.ts";
import { endingWithParent } from "./lib/process.ts";
import { createProgress } from "./lib/progress.ts";
import { createScope } from "./lib/scope.ts";
import { settingsFor } from "./settings.ts";

/**
 * Opens a database, runs a command with its address in MONGODB_URL, stops what was started, and returns the command's
 * exit code (128 and the signal's number when a signal ended it). `env` gives what the caller's environment does not.
 */
export async function runWithDatabase(
  purpose: Purpose,
  command: string[],
  env: Record<string, string> = {},
): Promise<number> {
  const scope = createScope();
  const progress = createProgress();
  let forward: ((signal: NodeJS.Signals) => void) | undefined;
  let interruptedBy: NodeJS.Signals | undefined;

  onStopSignal(async (signal) => {
    if (forward) return forward(signal);
    interruptedBy = signal;
    progress.done();
    await scope.close();
    process.exit(128 + constants.signals[signal]);
  });

  try {
    const settings = settingsFor(purpose);
    const database = await openDatabase(settings, scope, progress);
    const child = Bun.spawn(endingWithParent(command), {
      stdio: ["inherit", "inherit", "inherit"],
      // A session of its own: Ctrl-C reaches it once, from here, not a second time from the terminal.
      detached: true,
      cwd: settings.repositoryFolder,
      env: { ...env, ...process.env, MONGODB_URL: database.url },
    });
    let asked = false;
    forward = (signal) => {
      // A closed terminal means the end here; to the service SIGHUP means to read its keys again.
      child.kill(asked ? "SIGKILL" : signal === "SIGHUP" ? "SIGTERM" : signal);
      asked = true;
    };
    const code = await child.exited;
    const endedBy = child.signalCode as NodeJS.Signals | null;
    return endedBy ? 128 + constants.signals[endedBy] : code;
  } catch (error) {
    progress.line(error instanceof Error ? error.message : String(error));
    return interruptedBy ? 128 + constants.signals[interruptedBy] : 1;
  } finally {
    await scope.close();
  }
}
