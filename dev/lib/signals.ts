import { commandLine, parentOf } from "./process-table.ts";

const parentCheckMs = 500;

/**
 * Calls `stop` on Ctrl-C, SIGTERM, a closed terminal, and when what runs this as a script was killed: `bun run` passes
 * signals on but not after kill -9, and npx ends of SIGTERM without its `bun run`.
 */
export function onStopSignal(stop: (signal: NodeJS.Signals) => unknown): void {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => stop(signal));

  const runners = scriptRunners();
  if (runners.length === 0) return;
  const timer = setInterval(() => {
    if (ancestors(runners.length).join() === runners.join()) return;
    clearInterval(timer);
    stop("SIGTERM");
  }, parentCheckMs);
  timer.unref();
}

/** `bun run`, and when that was started by npx also the shell between them and npx. Not the user's own shell: it may go. */
function scriptRunners(): number[] {
  if (!process.env.npm_lifecycle_event) return [];
  const candidates = ancestors(3);
  const npx = candidates.findIndex((pid) => /\bnpm exec\b|\bnpx\b/.test(commandLine(pid)));
  return candidates.slice(0, Math.max(npx, 0) + 1);
}

function ancestors(count: number): number[] {
  const pids: number[] = [];
  for (let pid = parentOf(process.pid); pids.length < count; pid = parentOf(pid)) pids.push(pid);
  return pids;
}
