/**
 * `bun run bench [--quick] [--binary] [--memory] [--calls=get,sign-in] [--contestants=croupier,limit] [--rounds=3]`
 *
 * Measures Croupier beside a limit and a common Express service, all on one database server, and prints Markdown. They
 * are measured in turn, call by call and round by round, so that what else the machine does falls on all alike.
 */
import { parseArgs } from "node:util";
import { MongoClient } from "mongodb";
import { openDatabase } from "../dev/database/chain.ts";
import { createProgress } from "../dev/lib/progress.ts";
import { createScope } from "../dev/lib/scope.ts";
import { onStopSignal } from "../dev/lib/signals.ts";
import { settingsFor } from "../dev/settings.ts";
import { calls, findContestants, type Running, seededCount, start } from "./contestants.ts";
import { measure, measureMemory, measureWaiting, type Step } from "./measure.ts";
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

const chosenCalls = options.calls.split(",");
const rounds = Number(options.rounds ?? (options.quick ? 1 : 3));
const startedAt = performance.now();
const scope = createScope();
onStopSignal(() => scope.close().finally(() => process.exit(130)));

const samples: Sample[] = [];
const waitingSamples: WaitingSample[] = [];
let [machine, memory] = ["", ""];
const { contestants, nodeVersion, missing } = await findContestants({ binary: options.binary });
const chosen = contestants.filter(({ name }) => options.contestants.split(",").includes(name));
if (missing) say(missing);
try {
  const { url } = await openDatabase(settingsFor("test"), scope, createProgress());
  const client = await new MongoClient(url, { serverSelectionTimeoutMS: 5000 }).connect();
  scope.defer(() => client.close());
  machine = await machineLine(client.db("admin"), nodeVersion);

  const runnings: Running[] = [];
  for (const contestant of chosen) {
    say(`starting ${contestant.title}…`);
    const running = await start(contestant, url, client.db(contestant.databaseName), scope);
    for (const call of ["health", "get"] as const)
      await measure(running, { call, concurrency: 32, seconds: 1, rounds: 1 });
    runnings.push(running);
  }
  const steps = planSteps(options.quick, rounds, chosenCalls);
  for (let round = 0; round < rounds; round++) {
    for (const step of steps.filter((step) => round < step.rounds)) {
      for (const running of runnings) {
        const sample = await measure(running, step);
        samples.push(sample);
        say(
          `round ${round + 1}: ${step.call} at ${step.concurrency}: ${running.title} ${sample.perSecond.toFixed(1)}/s, p99 ${sample.p99Ms.toFixed(1)} ms`,
        );
      }
    }
  }
  for (const running of chosenCalls.includes("waiting") ? runnings : []) {
    say(`${running.title} while sign-ins wait…`);
    waitingSamples.push(...(await measureWaiting(running, 0, options.quick ? 2 : 5)));
    waitingSamples.push(...(await measureWaiting(running, 50, options.quick ? 2.5 : 12)));
  }
  const croupier = runnings.find(({ name }) => name === "croupier");
  if (options.memory && croupier) memory = await measureMemory(croupier, 1_000_000);
} finally {
  await scope.close();
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
