import { closeSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Scope } from "./scope.ts";

type Environment = Record<string, string | undefined>;

/** Postgres reads SIGINT as "stop now, in order", SIGTERM as "when the last client has gone". */
export type StopSignal = "SIGINT" | "SIGTERM";

export type Server = { pid: number; exited: Promise<number>; logFile: string };

/**
 * The command, made to get a signal when the process that started it dies, even of kill -9. Only Linux has that;
 * elsewhere `endLeftovers` of the next start finds what was left behind.
 */
export function endingWithParent(command: string[], signal: StopSignal = "SIGTERM"): string[] {
  const setpriv = process.platform === "linux" ? Bun.which("setpriv") : null;
  return setpriv ? [setpriv, "--pdeathsig", signal.slice("SIG".length), ...command] : command;
}

/** Runs a command to its end and returns what it printed; an error carries the last line of its complaint. */
export async function run(
  command: string[],
  scope: Scope,
  options: { env?: Environment; cwd?: string; timeoutMs?: number } = {},
): Promise<string> {
  const child = Bun.spawn(endingWithParent(command), {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    detached: true,
    env: { ...process.env, ...options.env },
    ...(options.cwd ? { cwd: options.cwd } : {}),
  });
  let timedOut = false;
  const timer = options.timeoutMs
    ? setTimeout(() => ((timedOut = true), endGroup(child.pid)), options.timeoutMs)
    : null;
  scope.defer(() => child.exitCode === null && child.signalCode === null && endGroup(child.pid));
  const [output, complaint, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  if (timer) clearTimeout(timer);
  if (timedOut) throw new Error(`${command[0]} gave no answer in ${options.timeoutMs} ms`);
  if (code !== 0) throw new Error(lastLine(complaint) || lastLine(output) || `${command[0]} ended with code ${code}`);
  return output;
}

/**
 * Starts a server that stops with the scope, its log and process id in `folder`. It gets a session of its own, so that
 * Ctrl-C reaches only its owner.
 */
export function startServer(
  name: string,
  command: string[],
  folder: string,
  scope: Scope,
  options: { env?: Environment; stopSignal?: StopSignal } = {},
): Server {
  const logFile = join(folder, `${name}.log`);
  const log = openSync(logFile, "w");
  const child = Bun.spawn(command, {
    stdin: "ignore",
    stdout: log,
    stderr: log,
    detached: true,
    env: { ...process.env, ...options.env },
  });
  closeSync(log);
  writeFileSync(join(folder, `${name}.pid`), `${child.pid}`);
  scope.defer(async () => {
    child.kill(options.stopSignal ?? "SIGTERM");
    const stopped = await Promise.race([child.exited.then(() => true), Bun.sleep(10_000).then(() => false)]);
    if (!stopped) child.kill("SIGKILL");
    await child.exited;
  });
  return { pid: child.pid, exited: child.exited, logFile };
}

/** Tries `attempt` until it holds; gives up when the server is gone or the time is over. */
export async function waitUntil(
  attempt: () => boolean | Promise<boolean>,
  server: Server,
  timeoutMs = 30_000,
): Promise<void> {
  let gone = false;
  void server.exited.then(() => (gone = true));
  const giveUpAt = performance.now() + timeoutMs;
  while (!(await attempt())) {
    const complaint = () => lastLine(readFileSync(server.logFile, "utf8"));
    if (gone) throw new Error(`it stopped right away: ${complaint()} (${server.logFile})`);
    if (performance.now() > giveUpAt) throw new Error(`no answer in ${timeoutMs / 1000} s (${server.logFile})`);
    await Bun.sleep(20);
  }
}

/** Ends a process and all that it started. */
function endGroup(pid: number): void {
  try {
    process.kill(-pid, "SIGTERM");
  } catch {
    // It ended by itself in the meantime.
  }
}

function lastLine(text: string): string {
  return text.trimEnd().split("\n").at(-1)?.trim() ?? "";
}
