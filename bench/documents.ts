/**
 * `bun run bench:documents [--quick] [--binary] [--rounds=3] [--contestants=croupier,limit,parse]`
 *
 * A tenant's documents through Croupier in each tier, beside the limit with the same statements and beside Parse Server,
 * all on one database server. They are measured in turn, round by round, so that what else the machine does falls on all
 * alike: the ratios are what counts.
 */
import { parseArgs } from "node:util";
import { MongoClient } from "mongodb";
import { openDatabase } from "../dev/database/chain.ts";
import { createProgress } from "../dev/lib/progress.ts";
import { createScope } from "../dev/lib/scope.ts";
import { onStopSignal } from "../dev/lib/signals.ts";
import { settingsFor } from "../dev/settings.ts";
import { type Target, documentCalls, startCroupier, startLimit, startParse } from "./document-contestants.ts";
import { load, processorSeconds } from "./measure.ts";
import { documentTable, type DocumentSample, machineLine } from "./report.ts";

const { values: options } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    binary: { type: "boolean", default: false },
    rounds: { type: "string" },
    contestants: { type: "string", default: "croupier,limit,parse" },
  },
});
const rounds = Number(options.rounds ?? (options.quick ? 1 : 5));
const seconds = options.quick ? 0.8 : 2;
const chosen = options.contestants.split(",");
const say = (line: string) => console.error(line);
const startedAt = performance.now();
const scope = createScope();
onStopSignal(() => scope.close().finally(() => process.exit(130)));

const samples: DocumentSample[] = [];
let machine = "";
let missing: string | undefined;
try {
  const { url } = await openDatabase(settingsFor("test"), scope, createProgress());
  const client = await new MongoClient(url, { serverSelectionTimeoutMS: 5000 }).connect();
  scope.defer(() => client.close());

  const targets: Target[] = [];
  say("starting Croupier…");
  if (chosen.includes("croupier")) targets.push(...(await startCroupier(url, client, scope, options.binary)));
  say("starting the limit…");
  if (chosen.includes("limit")) targets.push(...(await startLimit(url, client, scope)));
  say("starting Parse Server…");
  const parse = chosen.includes("parse")
    ? await startParse(url, client, scope)
    : { targets: [], missing: undefined, nodeVersion: undefined };
  missing = parse.missing;
  targets.push(...parse.targets);
  machine = await machineLine(client.db("admin"), parse.nodeVersion);

  // Beside each other: a tier of Croupier, then the limit with the same statements.
  targets.sort((a, b) => a.order - b.order);
  const measure = async (target: Target, call: (typeof documentCalls)[number], concurrency: number, time: number) => {
    const stream = { label: call, concurrency, ...target.requests[call] };
    const before = await processorSeconds(target.pid);
    const { streams, generatorShare } = await load({ port: target.port, seconds: time, streams: [stream] });
    const [report] = streams as [(typeof streams)[0]];
    const microsecondsPerCall = (((await processorSeconds(target.pid)) - before) * 1e6) / report.right;
    const { contestant, tier } = target;
    return { ...report, contestant, tier, call, concurrency, microsecondsPerCall, generatorShare };
  };
  for (const target of targets) for (const call of documentCalls) await measure(target, call, 16, 0.7);
  for (let round = 0; round < rounds; round++) {
    for (const call of documentCalls) {
      for (const concurrency of [1, 32]) {
        for (const target of targets) {
          const sample = await measure(target, call, concurrency, seconds);
          samples.push(sample);
          const name = [sample.contestant, sample.tier].filter(Boolean).join(" ");
          say(
            `round ${round + 1}: ${call} at ${concurrency}: ${name} ${sample.perSecond.toFixed(0)}/s, p99 ${sample.p99Ms.toFixed(1)} ms`,
          );
        }
      }
    }
  }
} finally {
  await scope.close();
}

const command = ["bun run bench:documents", ...process.argv.slice(2)].join(" ");
console.log(`\`${command}\` on ${machine}; took ${Math.round((performance.now() - startedAt) / 1000)} s.\n`);
if (missing) console.log(`${missing}\n`);
console.log(`${documentTable(samples)}\n`);
const wrong = samples.filter(({ errors }) => errors > 0);
for (const { contestant, tier, call, errors, firstError } of wrong) {
  console.log(`WRONG: ${contestant} ${tier ?? ""}, ${call}: ${errors} errors, the first: ${firstError}`);
}
const share = Math.max(...samples.map(({ generatorShare }) => generatorShare));
console.log(`The load generator used at most ${Math.round(share * 100)} % of a core.`);
process.exitCode = wrong.length > 0 ? 1 : 0;
