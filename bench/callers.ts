/**
 * Callers at a fixed rate, a process of its own: reads `CallerJob` as JSON from standard input and writes a line of JSON for
 * each answer, until it is stopped. A request leaves when it is due, whether the one before it was answered or not.
 */
import { createConnection } from "./load.ts";

export interface Calls {
  label: string;
  /** Whole requests as they go over the wire, taken in turn. */
  requests: string[];
  perSecond: number;
}

export interface CallerJob {
  port: number;
  calls: Calls[];
}

/** When it was due (milliseconds since 1970), how long after that it was answered, and with what; 0: not at all. */
export interface Call {
  label: string;
  dueAt: number;
  ms: number;
  status: number;
}

async function call(port: number, { label, requests, perSecond }: Calls): Promise<never> {
  const idle: ReturnType<typeof createConnection>[] = [];
  const startedAt = Date.now();
  for (let turn = 0; ; turn++) {
    const dueAt = startedAt + (turn * 1000) / perSecond;
    if (dueAt > Date.now()) await Bun.sleep(dueAt - Date.now());
    const connection = idle.pop() ?? createConnection(port);
    const told = (status: number) => {
      idle.push(connection);
      console.log(JSON.stringify({ label, dueAt, ms: performance.timeOrigin + performance.now() - dueAt, status }));
    };
    connection.send(requests[turn % requests.length]!).then(
      ({ status }) => told(status),
      () => told(0),
    );
  }
}

if (import.meta.main) {
  const { port, calls } = (await Bun.stdin.json()) as CallerJob;
  await Promise.all(calls.map((each) => call(port, each)));
}
