const parentCheckMs = 500;

/**
 * Calls `stop` on Ctrl-C, SIGTERM, a closed terminal, and when the script runner (`bun run`, `npm run`) that started
 * this process was killed: it can pass on no signal then.
 */
export function onStopSignal(stop: (signal: NodeJS.Signals) => unknown): void {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => stop(signal));

  if (!process.env.npm_lifecycle_event) return;
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    stop("SIGTERM");
  }, parentCheckMs);
  timer.unref();
}
