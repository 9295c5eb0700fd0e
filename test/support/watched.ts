import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { freePort } from "../../dev/lib/net.ts";

const mainProgram = fileURLToPath(new URL("../../src/main.ts", import.meta.url));

/** A command of the program as a process of its own, whose memory is watched. */
export type Watched = {
  pid: number;
  exited: Promise<number>;
  output(): Promise<string>;
  /** The most that it has held resident so far, in MiB. */
  peakMiB(): Promise<number>;
  kill(): void;
};

/** Linux says how much a process has held at the most. */
export const canWatch = process.platform === "linux";

function watch(args: string[], env: Record<string, string>, program = mainProgram): Watched {
  const child = Bun.spawn([process.execPath, program, ...args], {
    env: { ...process.env, LOG_LEVEL: "warn", ...env },
    stdout: "pipe",
    stderr: "inherit",
  });
  let peak = 0;
  const look = async () => {
    const status = await readFile(`/proc/${child.pid}/status`, "utf8").catch(() => "");
    peak = Math.max(peak, Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1] ?? 0) / 1024);
  };
  const timer = setInterval(() => void look(), 20);
  const exited = child.exited.finally(() => clearInterval(timer));
  const text = new Response(child.stdout).text();
  return {
    pid: child.pid,
    exited,
    output: () => text,
    async peakMiB() {
      await look();
      return peak;
    },
    kill: () => child.kill("SIGKILL"),
  };
}

/** How a service that was just started does, while a cheap question is asked all the time. */
export type Started = { readyMs: number; peakMiB: number; p99Ms: number; asked: number };

/**
 * Starts a service on a database and asks it for an organization again and again, one question at a time, from when it is ready.
 */
export async function startWatched(
  env: Record<string, string>,
  { name, forMs, program }: { name: string; forMs: number; program?: string },
): Promise<Started> {
  const port = await freePort();
  const startedMs = performance.now();
  const service = watch(["serve"], { ...env, HOST: "127.0.0.1", PORT: String(port) }, program);
  try {
    const url = `http://127.0.0.1:${port}`;
    const isReady = async () => (await fetch(`${url}/readiness`).catch(() => null))?.ok ?? false;
    while (!(await isReady())) {
      if (performance.now() - startedMs > 120_000) throw new Error("not ready after 120 s");
      await Bun.sleep(20);
    }
    const readyMs = performance.now() - startedMs;
    const took: number[] = [];
    for (const endMs = performance.now() + forMs; performance.now() < endMs;) {
      const askedMs = performance.now();
      const answer = await fetch(`${url}/org/get?organization_name=${name}`);
      await answer.arrayBuffer();
      if (answer.status !== 200 && answer.status !== 404) throw new Error(`answered ${answer.status}`);
      took.push(performance.now() - askedMs);
      await Bun.sleep(2);
    }
    took.sort((a, b) => a - b);
    return {
      readyMs,
      peakMiB: await service.peakMiB(),
      p99Ms: took[Math.floor(took.length * 0.99)]!,
      asked: took.length,
    };
  } finally {
    service.kill();
    await service.exited;
  }
}

/** Runs a command to its end. */
export async function runWatched(
  args: string[],
  env: Record<string, string>,
  program?: string,
): Promise<{ lines: string[]; code: number; peakMiB: number; tookMs: number }> {
  const startedMs = performance.now();
  const command = watch(args, env, program);
  const code = await command.exited;
  const lines = (await command.output()).split("\n").filter(Boolean);
  return { lines, code, peakMiB: await command.peakMiB(), tookMs: performance.now() - startedMs };
}
