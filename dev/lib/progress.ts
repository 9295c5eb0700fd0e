const quietMs = 2_000;
const terminalEveryMs = 200;
const logEveryMs = 10_000;

/** Says on stderr what is going on: `line` at once, `stage` only if it takes more than two seconds. */
export type Progress = { line(text: string): void; stage(text: string): void; done(): void };

/** On a terminal one line that is kept up to date, elsewhere (CI, a file) a new line every ten seconds. */
export function createProgress(output: NodeJS.WriteStream = process.stderr): Progress {
  let current = "";
  let startedAt = 0;
  let timer: ReturnType<typeof setInterval> | undefined;
  let nextAt = 0;

  const clear = () => (output.isTTY ? output.write("\r\x1b[K") : true);
  const line = (text: string) => {
    if (timer) clear();
    output.write(`database: ${text}\n`);
  };
  const tick = () => {
    const now = performance.now();
    if (now < nextAt) return;
    nextAt = now + (output.isTTY ? terminalEveryMs : logEveryMs);
    const text = `database: ${current} … ${Math.round((now - startedAt) / 1000)} s`;
    if (output.isTTY) output.write(`\r\x1b[K${text.slice(0, output.columns - 1)}`);
    else output.write(`${text}\n`);
  };
  const done = () => {
    clearInterval(timer);
    if (timer) clear();
    timer = undefined;
  };
  const stage = (text: string) => {
    current = text;
    if (timer) return;
    startedAt = performance.now();
    nextAt = startedAt + quietMs;
    timer = setInterval(tick, terminalEveryMs);
  };
  return { line, stage, done };
}
