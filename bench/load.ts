/**
 * The load generator, a process of its own: reads one `Job` as JSON from standard input, writes one `LoadReport` as JSON.
 *
 * It speaks HTTP/1.1 over bare sockets, keep-alive, one request at a time on a connection. That costs it a few
 * microseconds a request, so that on a small machine the processor's time goes to whom it measures.
 */

/** Requests to send, taken in turn. `ratePerSecond` makes the stream open: requests leave when they are due, answered or not. */
export interface Stream {
  label: string;
  /** Whole requests as they go over the wire. */
  requests: string[];
  /** The one status that counts as right. 503 is counted as refused, all others as errors. */
  status: number;
  concurrency: number;
  ratePerSecond?: number;
  /** An open stream may wait for the others to get under way. */
  delaySeconds?: number;
}

export interface Job {
  port: number;
  seconds: number;
  /** Ends before `seconds` when so many requests have been sent. */
  requestsMax?: number;
  streams: Stream[];
}

export interface StreamReport {
  label: string;
  right: number;
  refused: number;
  errors: number;
  /** What was wrong with the first error. */
  firstError?: string;
  perSecond: number;
  p50Ms: number;
  p99Ms: number;
  maxMs: number;
}

export interface LoadReport {
  streams: StreamReport[];
  /** The generator's own processor time as a share of one core: near 1 it is itself what is measured. */
  generatorShare: number;
}

interface Answer {
  status: number;
  retryAfterSeconds: number;
  body: string;
}

/** An HTTP/1.1 request as text. */
export function request(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): string {
  const content = body === undefined ? "" : JSON.stringify(body);
  const lines = [`${method} ${path} HTTP/1.1`, "Host: 127.0.0.1"];
  for (const [name, value] of Object.entries(headers)) lines.push(`${name}: ${value}`);
  if (body !== undefined) lines.push("Content-Type: application/json", `Content-Length: ${Buffer.byteLength(content)}`);
  return `${lines.join("\r\n")}\r\n\r\n${content}`;
}

/** Undefined while the answer is not complete. */
function parseAnswer(text: string): Answer | undefined {
  const headEnd = text.indexOf("\r\n\r\n");
  if (headEnd < 0) return undefined;
  const status = Number(text.slice(9, 12));
  const head = text.slice(0, headEnd);
  const body = text.slice(headEnd + 4);
  const length = /\r\ncontent-length: *(\d+)/i.exec(head);
  if (length ? body.length < Number(length[1]) : status !== 204 && !body.endsWith("0\r\n\r\n")) return undefined;
  const retryAfterSeconds = status === 503 ? Number(/\r\nretry-after: *(\d+)/i.exec(head)?.[1] ?? 1) : 0;
  return { status, retryAfterSeconds, body };
}

/** One connection, opened again when the server has closed it between requests. */
export function createConnection(port: number) {
  let socket: Bun.Socket | undefined;
  let text = "";
  let settle: { resolve: (answer: Answer) => void; reject: (error: Error) => void } | undefined;

  function closed() {
    socket = undefined;
    settle?.reject(new Error("connection closed before an answer"));
    settle = undefined;
  }

  async function open() {
    socket = await Bun.connect({
      hostname: "127.0.0.1",
      port,
      socket: {
        data(_socket, chunk) {
          text += chunk.toString("latin1");
          const answer = parseAnswer(text);
          if (!answer) return;
          text = "";
          settle?.resolve(answer);
          settle = undefined;
        },
        close: closed,
        error: closed,
      },
    });
  }

  async function send(raw: string): Promise<Answer> {
    if (!socket) await open();
    return new Promise((resolve, reject) => {
      settle = { resolve, reject };
      text = "";
      socket?.write(raw);
    });
  }

  return { open, send, close: () => socket?.end() };
}

/** The sample below which a share of all samples lies (nearest rank). */
function percentile(sorted: number[], share: number): number {
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN;
}

async function runStream(job: Job, stream: Stream): Promise<StreamReport> {
  const connections = Array.from({ length: stream.concurrency }, () => createConnection(job.port));
  await Promise.all(connections.map((connection) => connection.open()));
  const latencies: number[] = [];
  let [next, refused, errors] = [0, 0, 0];
  let firstError: string | undefined;
  const start = performance.now() + (stream.delaySeconds ?? 0) * 1000;
  const end = performance.now() + job.seconds * 1000;
  const sentMax = job.requestsMax ?? Number.POSITIVE_INFINITY;

  /** Sends the next request; says how long its sender should wait before another. */
  async function one(connection: (typeof connections)[number], dueAt: number): Promise<number> {
    const raw = stream.requests[next++ % stream.requests.length] as string;
    try {
      const answer = await connection.send(raw);
      if (answer.status === stream.status) latencies.push(performance.now() - dueAt);
      else if (answer.status === 503) refused++;
      else throw new Error(`${raw.slice(0, raw.indexOf(" HTTP"))}: ${answer.status} ${answer.body.slice(0, 200)}`);
      return answer.retryAfterSeconds * 1000;
    } catch (error) {
      errors++;
      firstError ??= String(error);
      return 10;
    }
  }

  /** The next request leaves when the last is answered; a refused sender waits as long as it was told to. */
  async function closedLoop(connection: (typeof connections)[number]) {
    while (performance.now() < end && next < sentMax) {
      const waitMs = await one(connection, performance.now());
      if (waitMs > 0) await Bun.sleep(Math.max(0, Math.min(waitMs, end - performance.now())));
    }
  }

  /** Times count from when a request was due, not from when it left: a server that stalls can't hide its queue. */
  async function openLoop(ratePerSecond: number) {
    const idle = [...connections];
    const underWay = new Set<Promise<void>>();
    for (let sent = 0; ; sent++) {
      const dueAt = start + (sent * 1000) / ratePerSecond;
      if (dueAt >= end) break;
      while (performance.now() < dueAt) await Bun.sleep(Math.max(0, dueAt - performance.now()));
      while (idle.length === 0) await Promise.race(underWay);
      const connection = idle.shift() as (typeof connections)[number];
      const done: Promise<void> = one(connection, dueAt).then(() => {
        idle.push(connection);
        underWay.delete(done);
      });
      underWay.add(done);
    }
    await Promise.all(underWay);
  }

  await (stream.ratePerSecond ? openLoop(stream.ratePerSecond) : Promise.all(connections.map(closedLoop)));
  const seconds = (performance.now() - start) / 1000;
  for (const connection of connections) connection.close();
  latencies.sort((a, b) => a - b);
  return {
    label: stream.label,
    right: latencies.length,
    refused,
    errors,
    ...(firstError ? { firstError } : {}),
    perSecond: latencies.length / seconds,
    p50Ms: percentile(latencies, 0.5),
    p99Ms: percentile(latencies, 0.99),
    maxMs: latencies.at(-1) ?? Number.NaN,
  };
}

if (import.meta.main) {
  const job = (await Bun.stdin.json()) as Job;
  const [started, cpuBefore] = [performance.now(), process.cpuUsage()];
  const streams = await Promise.all(job.streams.map((stream) => runStream(job, stream)));
  const cpu = process.cpuUsage(cpuBefore);
  const generatorShare = (cpu.user + cpu.system) / 1000 / (performance.now() - started);
  await Bun.write(Bun.stdout, JSON.stringify({ streams, generatorShare } satisfies LoadReport));
}
