/**
 * Callers at a fixed rate, a process of its own: reads `CallerJob` as JSON from standard input and writes a line of JSON for
 * each answer, until it is stopped. A request leaves when it is due, whether the one before it was answered or not.
 */
import { readFileSync } from "node:fs";
import { createConnection } from "./load.ts";

export interface Calls {
  label: string;
  /** Whole requests as they go over the wire, taken in turn. */
  requests: string[];
  perSecond: number;
}

export interface CallerJob {
  port: number;
  /** Of the service. */
  pid: number;
  calls: Calls[];
}

/** When it was due (milliseconds since 1970), how long after that it was answered, and with what; 0: not at all. */
export interface Call {
  label: string;
  dueAt: number;
  ms: number;
  /** The processor time of the service's own thread while it waited: what others do on the machine is not in it. */
  busyMs: number;
  status: number;
}

/** Processor time of a process's first thread, in milliseconds; NaN where there is no /proc. */
function threadMs(pid: number): number {
  try {
    return Number(readFileSync(`/proc/${pid}/task/${pid}/schedstat`, "utf8").split(" ")[0]) / 1e6;
  } catch {
    return Number.NaN;
  }
}

async function call({ port, pid }: CallerJob, { label, requests, perSecond }: Calls): Promise<never> {
  const idle: ReturnType<typeof createConnection>[] = [];
  const startedAt = Date.now();
  for (let turn = 0; ; turn++) {
    const dueAt = startedAt + (turn * 1000) / perSecond;
    if (dueAt > Date.now()) await Bun.sleep(dueAt - Date.now());
    const connection = idle.pop() ?? createConnection(port);
    const busyBefore = threadMs(pid);
    const told = (status: number) => {
      idle.push(connection);
      const ms = performance.timeOrigin + performance.now() - dueAt;
      console.log(JSON.stringify({ label, dueAt, ms, busyMs: threadMs(pid) - busyBefore, status } satisfies Call));
    };
    connection.send(requests[turn % requests.length]!).then(
      ({ status }) => told(status),
      () => told(0),
    );
  }
}

if (import.meta.main) {
  const job = (await Bun.stdin.json()) as CallerJob;
  await Promise.all(job.calls.map((each) => call(job, each)));
}
