/** The measurements: each starts the load generator against one contestant while the others are idle. */
import { readFile } from "node:fs/promises";
import { cpus } from "node:os";
import { join } from "node:path";
import { type Call, type Running, requestsFor, seededCount, tokenRequest } from "./contestants.ts";
import type { Job, LoadReport, Stream } from "./load.ts";
import type { Sample, WaitingSample } from "./report.ts";

export interface Step {
  call: Call;
  concurrency: number;
  seconds: number;
  rounds: number;
}

export async function load(job: Job): Promise<LoadReport> {
  const child = Bun.spawn([process.execPath, join(import.meta.dir, "load.ts")], {
    stdin: new Blob([JSON.stringify(job)]),
    stderr: "inherit",
  });
  return (await new Response(child.stdout).json()) as LoadReport;
}

export async function measure(running: Running, { call, concurrency, seconds }: Step): Promise<Sample> {
  const createsMax = Math.ceil(seconds * cpus().length * 20) + 2 * concurrency;
  const stream: Stream = {
    label: call,
    concurrency,
    ...requestsFor(call, call === "create" ? createsMax : seededCount),
  };
  const before = await processorSeconds(running.pid);
  const { streams, generatorShare } = await load({ port: running.port, seconds, streams: [stream] });
  const [report] = streams as [LoadReport["streams"][0]];
  const microsecondsPerCall = (((await processorSeconds(running.pid)) - before) * 1e6) / report.right;
  return { ...report, contestant: running.name, call, concurrency, microsecondsPerCall, generatorShare };
}

/** A modest open rate of gets and of requests with a token, alone and beside sign-ins that keep the queue full. */
export async function measureWaiting(running: Running, waiting: number, seconds: number): Promise<WaitingSample[]> {
  const open = { concurrency: 32, ratePerSecond: 50, delaySeconds: waiting ? 1 : 0 };
  const streams: Stream[] = [{ label: "get", ...open, ...requestsFor("get", seededCount) }];
  if (running.hasTokens) streams.push({ label: "with a token", ...open, ...tokenRequest(running.accessToken) });
  if (waiting) streams.push({ label: "sign-in", concurrency: waiting, ...requestsFor("sign-in", seededCount) });
  const reports = (await load({ port: running.port, seconds, streams })).streams;
  return reports.map((report) => ({ ...report, contestant: running.name, waiting }));
}

/** Memory after each tenth of a million gets. */
export async function measureMemory(running: Running, getsTotal: number): Promise<string> {
  const residents = [await residentMiB(running.pid)];
  for (let tenth = 0; tenth < 10; tenth++) {
    const stream: Stream = { label: "get", concurrency: 32, ...requestsFor("get", seededCount) };
    const { streams } = await load({
      port: running.port,
      seconds: 3600,
      requestsMax: getsTotal / 10,
      streams: [stream],
    });
    if (streams[0]?.errors) throw new Error(streams[0].firstError);
    residents.push(await residentMiB(running.pid));
    console.error(`  ${((tenth + 1) * getsTotal) / 10} gets: ${residents.at(-1)?.now.toFixed(0)} MiB`);
  }
  const end = residents.at(-1);
  const course = residents.map(({ now }) => now.toFixed(0)).join(", ");
  return `Resident memory of ${running.title} over ${getsTotal} gets: ${end?.now.toFixed(0)} MiB at the end, ${end?.peak.toFixed(0)} MiB at its peak (before, then after each tenth: ${course}).`;
}

/** Processor time the process has used, in seconds; NaN where there is no /proc. */
export async function processorSeconds(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => undefined);
  const fields = stat?.slice(stat.lastIndexOf(")") + 2).split(" ");
  return fields ? (Number(fields[11]) + Number(fields[12])) / 100 : Number.NaN;
}

/** Resident memory of the process now and at its highest, in MiB. */
export async function residentMiB(pid: number): Promise<{ now: number; peak: number }> {
  const status = await readFile(`/proc/${pid}/status`, "utf8").catch(() => "");
  const field = (name: string) => Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1]) / 1024;
  return { now: field("VmRSS"), peak: field("VmHWM") };
}

export interface Residents {
  before: number;
  peak: number;
  after: number;
}

/** Resident memory of a process from now until it is stopped, in MiB; `after` some seconds later. */
export function watchMemory(pid: number) {
  const seen: number[] = [];
  let stopped = false;
  const watching = (async () => {
    while (!stopped) {
      seen.push((await residentMiB(pid)).now);
      await Bun.sleep(100);
    }
  })();
  return {
    async stop(): Promise<Residents> {
      stopped = true;
      await watching;
      await Bun.sleep(2_000);
      return { before: seen[0] ?? Number.NaN, peak: Math.max(...seen), after: (await residentMiB(pid)).now };
    },
  };
}
