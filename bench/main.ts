/**
 * `bun run bench [--quick] [--binary] [--memory] [--calls=get,sign-in] [--contestants=croupier,limit] [--rounds=3]`
 *
 * Measures Croupier beside a limit and a common Express service, all on one database server, and prints Markdown. They
 * are measured in turn, call by call and round by round, so that what else the machine does falls on all alike.
 */
import { cpus } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { MongoClient } from "mongodb";
import { openDatabase } from "../dev/database/chain.ts";
import { createProgress } from "../dev/lib/progress.ts";
import { createScope } from "../dev/lib/scope.ts";
import { settingsFor } from "../dev/settings.ts";
import {
  type Call,
  calls,
  findContestants,
  processorSeconds,
  type Running,
  requestsFor,
  residentMiB,
  seededCount,
  start,
  tokenRequest,
} from "./contestants.ts";
import type { Job, LoadReport, Stream } from "./load.ts";
import { machineLine, processorLines, type Sample, speedTable, type WaitingSample, waitingTable } from "./report.ts";

const { values: options } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    binary: { type: "boolean", default: false },
    memory: { type: "boolean", default: false },
    calls: { type: "string", default: `${calls.join()},waiting` },
    contestants: { type: "string", default: "croupier,limit,express" },
    rounds: { type: "string" },
  },
});

const say = (line: string) => console.error(line);

async function load(job: Job): Promise<LoadReport> {
  const child = Bun.spawn([process.execPath, join(import.meta.dir, "load.ts")], {
    stdin: new Blob([JSON.stringify(job)]),
    stderr: "inherit",
  });
  return (await new Response(child.stdout).json()) as LoadReport;
}

interface Step {
  call: Call;
  concurrency: number;
  seconds: number;
  rounds: number;
}

/**
 * bcrypt at cost 12 lets a core do some 4 calls a second, so those steps are as short as they can be: a step ends when
 * what it sent is answered, and 128 at once are sent a single time.
 */
function planSteps(quick: boolean, rounds: number, chosen: string[]): Step[] {
  const fast = [1, 32, 128].flatMap((concurrency) => ({ concurrency, seconds: quick ? 0.8 : 2, rounds }));
  const slow = [
    { concurrency: 1, seconds: quick ? 1.5 : 2.5, rounds },
    { concurrency: 32, seconds: quick ? 0.5 : 3, rounds },
    { concurrency: 128, seconds: 0.5, rounds: 1 },
  ];
  const plans = {
    health: fast,
    get: fast,
    "sign-in": quick ? slow.slice(0, 2) : slow,
    create: quick ? slow.slice(0, 1) : slow,
  };
  return calls
    .filter((call) => chosen.includes(call))
    .flatMap((call) => plans[call].map((plan) => ({ call, ...plan })));
}

async function measure(running: Running, { call, concurrency, seconds }: Step): Promise<Sample> {
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
async function measureWaiting(running: Running, waiting: number, seconds: number): Promise<WaitingSample[]> {
  const open = { concurrency: 32, ratePerSecond: 50, delaySeconds: waiting ? 1 : 0 };
  const streams: Stream[] = [{ label: "get", ...open, ...requestsFor("get", seededCount) }];
  if (running.hasTokens) streams.push({ label: "with a token", ...open, ...tokenRequest(running.accessToken) });
  if (waiting) streams.push({ label: "sign-in", concurrency: waiting, ...requestsFor("sign-in", seededCount) });
  const reports = (await load({ port: running.port, seconds, streams })).streams;
  return reports.map((report) => ({ ...report, contestant: running.name, waiting }));
}

/** Memory after each tenth of a million gets. */
async function measureMemory(running: Running, getsTotal: number): Promise<string> {
  const residents = [await residentMiB(running.pid)];
  for (let tenth = 0; tenth < 10; tenth++) {
    const stream: Stream = { label: "get", concurrency: 32, ...requestsFor("get", seededCount) };
    await load({ port: running.port, seconds: 3600, requestsMax: getsTotal / 10, streams: [stream] });
    residents.push(await residentMiB(running.pid));
    say(`  ${((tenth + 1) * getsTotal) / 10} gets: ${residents.at(-1)?.now.toFixed(0)} MiB`);
  }
  const end = residents.at(-1);
  const course = residents.map(({ now }) => now.toFixed(0)).join(", ");
  return `Resident memory of ${running.title} over ${getsTotal} gets: ${end?.now.toFixed(0)} MiB at the end, ${end?.peak.toFixed(0)} MiB at its peak (before, then after each tenth: ${course}).`;
}

const scope = createScope();
const mongodbUrl = (await openDatabase(settingsFor("test"), scope, createProgress())).url;
const chosenCalls = options.calls.split(",");
const { contestants, nodeVersion, missing } = await findContestants({ binary: options.binary });
const chosen = contestants.filter(({ name }) => options.contestants.split(",").includes(name));
const client = await new MongoClient(mongodbUrl, { serverSelectionTimeoutMS: 5000 }).connect();
const machine = await machineLine(client.db("admin"), nodeVersion);
const startedAt = performance.now();
if (missing) say(missing);

const runnings: Running[] = [];
async function stopAll() {
  await Promise.all(runnings.splice(0).map((running) => running.stop()));
  await client.close();
  await scope.close();
}
process.once("SIGINT", () => stopAll().finally(() => process.exit(130)));

const samples: Sample[] = [];
const waitingSamples: WaitingSample[] = [];
let memory = "";
try {
  for (const contestant of chosen) {
    say(`starting ${contestant.title}…`);
    runnings.push(await start(contestant, mongodbUrl, client.db(contestant.databaseName)));
  }
  const rounds = Number(options.rounds ?? (options.quick ? 1 : 3));
  const steps = planSteps(options.quick, rounds, chosenCalls);
  for (const running of runnings) {
    for (const call of ["health", "get"] as const)
      await measure(running, { call, concurrency: 32, seconds: 1, rounds: 1 });
  }
  for (let round = 0; round < rounds; round++) {
    for (const step of steps.filter((step) => round < step.rounds)) {
      for (const running of runnings) {
        const sample = await measure(running, step);
        samples.push(sample);
        say(
          `round ${round + 1}: ${step.call} at ${step.concurrency}: ${running.title} ${sample.perSecond.toFixed(1)}/s, p99 ${sample.p99Ms.toFixed(1)} ms, generator ${sample.generatorShare.toFixed(2)} of a core`,
        );
      }
    }
  }
  for (const running of chosenCalls.includes("waiting") ? runnings : []) {
    for (const [waiting, seconds] of [[0, options.quick ? 2 : 5] as const, [50, options.quick ? 2.5 : 12] as const]) {
      say(`${running.title}: ${waiting} sign-ins waiting…`);
      waitingSamples.push(...(await measureWaiting(running, waiting, seconds)));
    }
  }
  const croupier = runnings.find(({ name }) => name === "croupier");
  if (options.memory && croupier) memory = await measureMemory(croupier, 1_000_000);
} finally {
  await stopAll();
}

const command = ["bun run bench", ...process.argv.slice(2)].join(" ");
const seconds = Math.round((performance.now() - startedAt) / 1000);
console.log(`\`${command}\` on ${machine}; ${seededCount} organizations; took ${seconds} s.\n`);
if (samples.length > 0) {
  const share = Math.max(...samples.map((sample) => sample.generatorShare));
  console.log(`${speedTable(samples, chosen)}\n\n${processorLines(samples, chosen)}`);
  console.log(`The load generator used at most ${Math.round(share * 100)} % of a core.\n`);
}
if (waitingSamples.length > 0) console.log(`${waitingTable(waitingSamples, chosen)}\n`);
if (memory) console.log(`${memory}\n`);
const wrong = [...samples, ...waitingSamples].filter((sample) => sample.errors > 0);
for (const { contestant, label, errors, firstError } of wrong) {
  console.log(`WRONG: ${contestant}, ${label}: ${errors} errors, the first: ${firstError}`);
}
const refused = waitingSamples.reduce((sum, sample) => sum + sample.refused, 0);
console.log(`Answers with an unexpected status: ${wrong.reduce((sum, { errors }) => sum + errors, 0)}.`);
if (refused > 0) console.log(`Sign-ins refused with 503 while 50 were kept waiting: ${refused}.`);
process.exitCode = wrong.length > 0 ? 1 : 0;
