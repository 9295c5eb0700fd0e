import { fileURLToPath } from "node:url";
import type { Subprocess } from "bun";
import type { StepMoment } from "../../src/operation/operation.ts";

/** A moment of an operation: a step, before its effect, after it, or when it has been recorded. */
export type Moment = { kind: string; step: string; moment: StepMoment };
/** Let `after` moments pass, or wait for the one that is named and then for `delayMs`, and send the process this signal, once. */
export type Plan = ({ after: number } | { at: string; moment: StepMoment; delayMs?: number }) & {
  signal: "SIGKILL" | "SIGSTOP";
  /** Removes the records of the organization before this step, as if somebody had done it by hand. */
  loseBefore?: string;
};

export const never = Number.MAX_SAFE_INTEGER;

export type Child = {
  readonly pid: number;
  readonly url: string;
  /** Every moment that it passed since it was armed last. */
  readonly moments: Moment[];
  /** Null: it goes on whatever it passes. */
  arm(plan: Plan | null): Promise<void>;
  /** Sends a signal to this one process. */
  signal(signal: NodeJS.Signals): void;
  /** Resolves with the name of the signal that ended it. */
  readonly died: Promise<string | number | null>;
  /** Whether the kernel has stopped it (SIGSTOP). */
  isStopped(): Promise<boolean>;
  end(): Promise<void>;
};

const program = fileURLToPath(new URL("./crash-child.ts", import.meta.url));
const living = new Set<Subprocess>();
// A stopped process notices nothing, so it is this one's duty.
process.on("exit", () => {
  for (const child of living) child.kill("SIGKILL");
});

/** Starts the service in a process of its own; when that dies before it listens, `url` is empty. */
export async function startChild(settings: {
  databaseName: string;
  leaseMs?: number;
  plan?: Plan;
  logLevel?: string;
  /** Asked again and again from the start on; once it says so, the process is killed. */
  killWhen?: () => Promise<boolean>;
  /** More of the environment's settings. */
  config?: Record<string, string>;
  onMoment?: (moment: Moment) => void;
  /** A crash-child.ts that stands beside another copy of the code. */
  program?: string;
}): Promise<Child> {
  const {
    databaseName,
    leaseMs = 300,
    plan,
    logLevel = process.env.CRASH_LOG_LEVEL || "silent",
    killWhen,
    config = {},
    onMoment,
  } = settings;
  const child = Bun.spawn([process.execPath, settings.program ?? program], {
    env: {
      ...process.env,
      MONGODB_DB_NAME: databaseName,
      OPERATION_LEASE_MS: String(leaseMs),
      LOG_LEVEL: logLevel,
      CRASH_PLAN: plan ? JSON.stringify(plan) : "",
      CRASH_CONFIG: JSON.stringify(config),
    },
    stdin: "pipe",
    stdout: "pipe",
    stderr: "inherit",
  });
  living.add(child);
  void (async () => {
    while (killWhen && living.has(child)) if (await killWhen()) child.kill("SIGKILL");
  })();
  const moments: Moment[] = [];
  let url = "";
  const listening = Promise.withResolvers<void>();
  let armed = Promise.withResolvers<void>();
  const died = child.exited.then(() => {
    living.delete(child);
    listening.resolve();
    armed.resolve();
    return child.signalCode;
  });
  void (async () => {
    let rest = "";
    for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + chunk).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        const said = JSON.parse(line);
        if (said.at) {
          moments.push(said.at);
          onMoment?.(said.at);
        } else if (said.armed) armed.resolve();
        else if (said.url && said.level === undefined) {
          url = said.url;
          listening.resolve();
        } else console.error(line);
      }
    }
  })();
  await listening.promise;
  return {
    pid: child.pid,
    get url() {
      return url;
    },
    moments,
    died,
    async arm(next) {
      armed = Promise.withResolvers<void>();
      moments.length = 0;
      child.stdin.write(`${JSON.stringify(next)}\n`);
      await child.stdin.flush();
      await armed.promise;
    },
    signal: (signal) => child.kill(signal),
    async isStopped() {
      if (process.platform !== "linux") return true;
      const status = await Bun.file(`/proc/${child.pid}/stat`)
        .text()
        .catch(() => "");
      return status.slice(status.lastIndexOf(")") + 2).startsWith("T");
    },
    async end() {
      child.kill("SIGKILL");
      await died;
    },
  };
}

/** Asks again and again until the answer is neither false nor null. @throws Error that says what was waited for */
export async function until<T>(what: string, ask: () => Promise<T | false | null>, timeoutMs = 20_000): Promise<T> {
  const startedMs = performance.now();
  for (;;) {
    const answer = await ask();
    if (answer !== false && answer !== null) return answer;
    const waitedMs = performance.now() - startedMs;
    if (waitedMs > timeoutMs) throw new Error(`Waited ${timeoutMs} ms for ${what}`);
    // The longer it takes the more seldom, or many who wait keep the database from what they wait for.
    await Bun.sleep(Math.min(200, 10 + waitedMs / 10));
  }
}
