/**
 * `bun run bench:access [--quick] [--parts=check,storm,flood,ended,logout] [--rounds=5] [--ended=100000] [--logouts=200]`
 *
 * What it costs to know who asks and whether they still may: a verified request beside the same handlers with nothing before
 * them, other tenants' requests while sign-ins wait and while one tenant floods, many ended sessions, and how soon a logout is
 * known elsewhere.
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type Db, MongoClient } from "mongodb";
import { openDatabase } from "../dev/database/chain.ts";
import { createProgress } from "../dev/lib/progress.ts";
import { createScope } from "../dev/lib/scope.ts";
import { onStopSignal } from "../dev/lib/signals.ts";
import { settingsFor } from "../dev/settings.ts";
import { revocations } from "../src/session/revocation/revocation-store.ts";
import { credentials, croupierCommand, freePort, launch } from "./contestants.ts";
import { createTenant, insertMany, type Tenant } from "./document-contestants.ts";
import { endMany } from "./ended.ts";
import { type LoadReport, request, type Stream } from "./load.ts";
import { measureLogouts, startRedis } from "./logouts.ts";
import { load, processorSeconds, residentMiB } from "./measure.ts";
import { figure, machineLine, median, table } from "./report.ts";

const { values: options } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    parts: { type: "string", default: "check,storm,flood,ended,logout" },
    rounds: { type: "string" },
    ended: { type: "string", default: "100000" },
    logouts: { type: "string" },
  },
});
const parts = options.parts.split(",");
const rounds = Number(options.rounds ?? (options.quick ? 2 : 7));
const endedCount = Number(options.ended);
const logoutsCount = Number(options.logouts ?? (options.quick ? 30 : 200));
const seconds = options.quick ? 1 : 2;
const waitingCount = 200;

const say = (line: string) => console.error(line);
const startedAt = performance.now();
const scope = createScope();
onStopSignal(() => scope.close().finally(() => process.exit(130)));
const { url: mongodbUrl } = await openDatabase(settingsFor("test"), scope, createProgress());
const client = await new MongoClient(mongodbUrl, { serverSelectionTimeoutMS: 5000 }).connect();
scope.defer(() => client.close());
/** What one part has started; the next begins with nothing. */
let own = createScope();
scope.defer(() => own.close());

type Process = { port: number; pid: number; url: string };
type Asked = { tenant: Tenant; ids: string[] };

const start = (
  databaseName: string,
  more: { command?: string[]; env?: Record<string, string>; joins?: boolean } = {},
) =>
  launch(
    { title: "Croupier", command: croupierCommand(false), databaseName, ...more },
    mongodbUrl,
    client.db(databaseName),
    own,
  );
async function fill({ url }: Process, name: string): Promise<Asked> {
  const tenant = await createTenant(url, name);
  return { tenant, ids: await insertMany(url, tenant.headers, 200) };
}
const gets = ({ tenant, ids }: Asked) =>
  ids.map((id) => request("GET", `/org/documents/${id}`, undefined, tenant.headers));

type Measured = LoadReport["streams"][0] & { microseconds: number };
const errors: string[] = [];
async function ask(process: Process, port: number, stream: Stream): Promise<Measured> {
  const before = await processorSeconds(process.pid);
  const report = (await load({ port, seconds, streams: [stream] })).streams[0]!;
  if (report.errors > 0) errors.push(`${stream.label}: ${report.errors}, the first: ${report.firstError}`);
  return { ...report, microseconds: (((await processorSeconds(process.pid)) - before) * 1e6) / report.right };
}

/** Measures two in turn, each first in every other round. @returns rows of both, and of how much more the first costs */
async function compare(label: string, concurrency: number, requests: string[], sides: [Process, number][]) {
  const stream: Stream = { label, concurrency, requests, status: 200 };
  const all: Measured[][] = [[], []];
  for (let round = 0; round < rounds; round++) {
    for (const side of round % 2 ? [1, 0] : [0, 1]) all[side]!.push(await ask(...sides[side]!, stream));
  }
  const [first, second] = all as [Measured[], Measured[]];
  const of = (samples: Measured[], field: "perSecond" | "p99Ms" | "microseconds") =>
    figure(median(samples.map((sample) => sample[field])));
  const moreOf = (ratio: (round: number) => number) =>
    `${((median(first.map((_, n) => ratio(n))) - 1) * 100).toFixed(0)} %`;
  const row = [
    label,
    String(concurrency),
    ...[first, second].map((samples) => `${of(samples, "perSecond")} (${of(samples, "p99Ms")})`),
    moreOf((n) => second[n]!.perSecond / first[n]!.perSecond),
    ...[first, second].map((samples) => of(samples, "microseconds")),
    moreOf((n) => first[n]!.microseconds / second[n]!.microseconds),
  ];
  say(row.join("; "));
  return row;
}
const comparisonTable = (sides: [string, string], rows: string[][]) =>
  table(
    [
      "request",
      "at once",
      ...sides.map((side) => `${side}: /s (p99 ms)`),
      "time it costs more",
      ...sides.map((side) => `${side}: processor µs`),
      "processor time it costs more",
    ],
    rows,
  );

async function check(): Promise<string> {
  const openPort = freePort();
  const service = await start("croupier_bench", {
    command: [process.execPath, join(import.meta.dir, "access-child.ts")],
    env: { OPEN_PORT: String(openPort) },
  });
  const asked = await fill(service, "bench-check");
  const me = [request("GET", "/admin/me", undefined, asked.tenant.headers)];
  const sides: [Process, number][] = [
    [service, service.port],
    [service, openPort],
  ];
  for (const [, port] of sides)
    for (const requests of [gets(asked), me])
      await ask(service, port, { label: "warm", concurrency: 32, requests, status: 200 });
  const rows: string[][] = [];
  for (const [label, requests] of [
    ["GET /org/documents/ID", gets(asked)],
    ["GET /admin/me", me],
  ] as const) {
    for (const concurrency of [1, 32]) rows.push(await compare(label, concurrency, requests, sides));
  }
  return `**A verified request** beside the same handlers with no token checked, no revocation looked up and no limit (aim: at most 15 % more):\n\n${comparisonTable(["verified", "open"], rows)}`;
}

/** 50 gets a second of 8 tenants: alone, and while a stream of others' requests goes on. */
async function disturb(service: Process, nuisance: Stream) {
  const others = await Promise.all(Array.from({ length: 8 }, (_, n) => fill(service, `bench-other-${n}`)));
  const requests = Array.from({ length: 200 }, (_, n) => gets(others[n % others.length]!)[n]!);
  const open: Stream = { label: "get", concurrency: 32, ratePerSecond: 50, requests, status: 200 };
  const run = async (streams: Stream[]) => (await load({ port: service.port, seconds: seconds * 5, streams })).streams;
  await run([open]);
  const [quiet] = await run([open]);
  const [busy, meanwhile] = await run([{ ...open, delaySeconds: 1 }, nuisance]);
  for (const { errors: wrong, firstError } of [quiet!, busy!]) if (wrong > 0) errors.push(`get: ${firstError}`);
  const times = [quiet!, busy!].map(({ p50Ms, p99Ms, maxMs }) => [p50Ms, p99Ms, maxMs].map(figure).join(" / "));
  return { times, meanwhile: meanwhile! };
}
const disturbed = ["quiet: p50 / p99 / max ms", "meanwhile"];

async function storm(): Promise<string> {
  const service = await start("croupier_bench");
  await createTenant(service.url, "bench-storm");
  const { times, meanwhile } = await disturb(service, {
    label: "sign-in",
    concurrency: waitingCount,
    requests: [request("POST", "/admin/login", credentials("bench-storm"))],
    status: 200,
  });
  const rows = [["", "", ...times, figure(meanwhile.perSecond)]];
  return `**While ${waitingCount} sign-ins wait**, 50 gets a second of 8 other tenants (aim: p99 under 10 ms):\n\n${table(["", "", ...disturbed, "sign-ins a second"], rows)}`;
}

const floodCount = 200;
/** Of how many requests of one tenant are at work at once, and wait. */
const crowds: [label: string, env: Record<string, string>][] = [
  ["no limit", {}],
  ["the default limit", { REQUESTS_AT_ONCE: "", REQUESTS_WAITING: "" }],
];

async function flood(): Promise<string> {
  const rows: string[][] = [];
  for (const [label, env] of crowds) {
    const service = await start("croupier_bench", { env });
    const { headers } = await createTenant(service.url, "bench-flood");
    for (let time = 0; time < 3; time++) await insertMany(service.url, headers, 200);
    const { times, meanwhile } = await disturb(service, {
      label: "list",
      concurrency: floodCount,
      requests: [request("GET", "/org/documents?limit=500", undefined, headers)],
      status: 200,
    });
    const refusals = figure(meanwhile.errors / (seconds * 5));
    rows.push([label, "", ...times, figure(meanwhile.perSecond), refusals]);
    say(rows.at(-1)!.join("; "));
  }
  return `**While one tenant lists 500 documents on ${floodCount} connections**, 50 gets a second of 8 other tenants:\n\n${table(["", "", ...disturbed, "lists a second", "refusals a second"], rows)}`;
}

async function ended(): Promise<string> {
  const [none, many] = [await start("croupier_bench"), await start("croupier_bench_ended")];
  const db: Db = client.db("croupier_bench_ended");
  const [askedNone, askedMany] = [await fill(none, "bench-none"), await fill(many, "bench-many")];
  const [before, beforeNone] = [(await residentMiB(many.pid)).now, (await residentMiB(none.pid)).now];
  say(`ending ${endedCount} sessions…`);
  await endMany(db, endedCount);
  const stored = await revocations(db).countDocuments();
  if (stored < endedCount) throw new Error(`only ${stored} were stored`);
  // The process reads what is new three times a second.
  await Bun.sleep(5_000);
  // Each side asks with its own tokens, so the requests of both differ.
  const all: Measured[][] = [[], []];
  const streamOf = (asked: Asked): Stream => ({ label: "get", concurrency: 32, requests: gets(asked), status: 200 });
  for (let round = 0; round <= rounds; round++) {
    const pair = [await ask(many, many.port, streamOf(askedMany)), await ask(none, none.port, streamOf(askedNone))];
    if (round > 0) pair.forEach((measured, side) => all[side]!.push(measured));
  }
  const [first, second] = all as [Measured[], Measured[]];
  const share = median(first.map(({ perSecond }, n) => perSecond / second[n]!.perSecond));
  const [after, afterNone] = [(await residentMiB(many.pid)).now, (await residentMiB(none.pid)).now];
  const reading =
    await Bun.$`${process.execPath} ${join(import.meta.dir, "ended.ts")} ${mongodbUrl} ${db.databaseName}`.json();
  const rates = [first, second].map((samples) => figure(median(samples.map(({ perSecond }) => perSecond))));
  return [
    `**${endedCount.toLocaleString("en-US")} ended sessions that are to be known** (aims: as many requests as with none; under 30 MiB):`,
    `${rates[0]} gets a second beside ${rates[1]} with none, ${share.toFixed(2)} of it (middle of ${rounds} rounds in turn).`,
    `A process that reads them at its start holds ${reading.heap.toFixed(1)} MiB more on its heap and ${reading.resident.toFixed(1)} MiB more of the machine's memory;`,
    `one that runs grew from ${before.toFixed(0)} to ${after.toFixed(0)} MiB with the load, one with none from ${beforeNone.toFixed(0)} to ${afterNone.toFixed(0)}.`,
  ].join(" ");
}

async function logout(): Promise<string> {
  const rows: string[][] = [];
  const redisUrl = await startRedis(own);
  for (const [label, env] of [
    ["without Redis", {}],
    ...(redisUrl ? [["with Redis", { REDIS_URL: redisUrl }] as const] : []),
  ] as [string, Record<string, string>][]) {
    // Hashes are not what is measured.
    const settings = { env: { BCRYPT_ROUNDS: "4", RATE_LIMIT_STORE: "memory", ...env } };
    const name = `croupier_bench_${rows.length}`;
    const [one, two] = [await start(name, settings), await start(name, { ...settings, joins: true })];
    await createTenant(one.url, "bench-logout");
    const sample = await measureLogouts([one.url, two.url], "bench-logout", logoutsCount);
    rows.push([label, "", ...[sample.p50Ms, sample.p99Ms, sample.maxMs, sample.answerP50Ms].map(figure)]);
    say(rows.at(-1)!.join("; "));
  }
  if (!redisUrl) rows.push(["with Redis", "there is no redis-server on the PATH", "–", "–", "–", "–"]);
  return `**From a logout in one process to the refusal in another**, over ${logoutsCount} (aim: within a second):\n\n${table(["", "", "p50 ms", "p99 ms", "max ms", "of it the logout itself, p50"], rows)}`;
}

const machine = await machineLine(client.db("admin"), undefined);
const texts: string[] = [];
try {
  for (const [name, part] of Object.entries({ check, storm, flood, ended, logout })) {
    if (!parts.includes(name)) continue;
    say(`${name}…`);
    own = createScope();
    texts.push(await part());
    await own.close();
  }
} finally {
  await scope.close();
}
const command = ["bun run bench:access", ...process.argv.slice(2)].join(" ");
const took = Math.round((performance.now() - startedAt) / 1000);
console.log(`\`${command}\` on ${machine}; took ${took} s.\n\n${texts.join("\n\n")}`);
for (const error of errors) console.log(`WRONG: ${error}`);
process.exitCode = errors.length > 0 ? 1 : 0;
