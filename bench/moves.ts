/**
 * `bun run bench:moves [--quick] [--binary] [--documents=100000] [--rate=16] [--tenants=10000]`
 *
 * A tenant is moved in all six directions while eight clients write to it; before each move the server copies the same
 * documents by itself (`$merge`). Then what finding a tenant's place costs, with ten tenants and with many.
 */
import { parseArgs } from "node:util";
import { type Document, MongoClient, ObjectId } from "mongodb";
import { openDatabase } from "../dev/database/chain.ts";
import { createProgress } from "../dev/lib/progress.ts";
import { createScope } from "../dev/lib/scope.ts";
import { onStopSignal } from "../dev/lib/signals.ts";
import { settingsFor } from "../dev/settings.ts";
import type { Placement, Tier } from "../src/tenant/placement.ts";
import { croupierCommand, launch } from "./contestants.ts";
import { createTenant, insertMany, makeOperatorKey, moveTenant, removeEnterprise } from "./document-contestants.ts";
import { watchMemory } from "./measure.ts";
import { machineLine, moveTable, type MoveSample, routingTable } from "./report.ts";
import { measureRouting } from "./routing.ts";
import { percentileOf, startWriters } from "./writers.ts";

const { values: options } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    binary: { type: "boolean", default: false },
    documents: { type: "string" },
    rate: { type: "string", default: "16" },
    tenants: { type: "string" },
  },
});
const documentsCount = Number(options.documents ?? (options.quick ? 10_000 : 100_000));
const tenantsCount = Number(options.tenants ?? (options.quick ? 1_000 : 10_000));
const rate = Number(options.rate);
const quietMs = options.quick ? 4_000 : 10_000;
/** Each direction once; every move begins where the one before ended. */
const ways: Tier[] = ["starter", "enterprise", "professional", "enterprise", "starter", "professional"];

const say = (line: string) => console.error(line);
const startedAt = performance.now();
const scope = createScope();
onStopSignal(() => scope.close().finally(() => process.exit(130)));

/** The server copies a tenant's documents into a fresh collection that has the index of every place. @returns how long it took, in seconds */
async function timeMerge(client: MongoClient, from: Placement): Promise<number> {
  const fresh = `merged_${new ObjectId().toHexString()}`;
  const database = client.db(from.database);
  await database.createCollection(fresh);
  // What every place of documents has.
  await database.collection(fresh).createIndex({ created_at: 1 });
  const began = performance.now();
  const stages = [{ $match: { tenant_id: from.key } }, { $merge: { into: fresh } }];
  await database.collection(from.collection).aggregate(stages).toArray();
  const seconds = (performance.now() - began) / 1000;
  await database.dropCollection(fresh);
  return seconds;
}

const samples: MoveSample[] = [];
let [machine, routing] = ["", ""];
try {
  const { url } = await openDatabase(settingsFor("test"), scope, createProgress());
  const client = await new MongoClient(url, { serverSelectionTimeoutMS: 5000 }).connect();
  scope.defer(() => client.close());
  machine = await machineLine(client.db("admin"), undefined);
  const program = {
    title: "Croupier",
    command: croupierCommand(options.binary),
    databaseName: "croupier_bench",
    env: { ACCESS_TOKEN_EXPIRE_MINUTES: "600" },
  };
  const db = client.db(program.databaseName);
  scope.defer(() => removeEnterprise(client, program.databaseName));
  const { pid, url: at } = await launch(program, url, db, scope);
  const operatorKey = await makeOperatorKey(db);
  const { id, headers } = await createTenant(at, "bench-moved");
  say(`inserting ${documentsCount} documents…`);
  const ids = await insertMany(at, headers, documentsCount);

  const organizations = db.collection<Document>("organizations");
  for (const to of documentsCount > 0 ? ways : []) {
    const organization = await organizations.findOne({ _id: new ObjectId(id) });
    const from = organization?.placement as Placement;
    const mergeSeconds = await timeMerge(client, from);
    const writers = startWriters({ url: at, headers, ids, clients: 8, rate });
    await Bun.sleep(quietMs);
    const memory = watchMemory(pid);
    const quietUntil = Date.now();
    const view = await moveTenant(at, operatorKey, id, to);
    const residents = await memory.stop();
    const writes = await writers.stop();
    const times = (view.history as { phase: string; at: string }[]).map(({ phase, at: time }) => ({
      phase,
      at: Date.parse(time),
    }));
    const first = (phase: string) => times.find((each) => each.phase === phase)?.at ?? Number.NaN;
    const end = Date.parse(view.finished_at as string);
    const documents = Number(view.documents_total);
    const sample: MoveSample = {
      way: `${from.tier} → ${to}`,
      documents,
      mergePerSecond: documents / mergeSeconds,
      copyPerSecond: documents / ((first("drain") - first("copy")) / 1000),
      servedPerSecond: documents / ((first("clean") - first("plan")) / 1000),
      wholePerSecond: documents / ((end - first("plan")) / 1000),
      phases: times.map(
        ({ phase, at: time }, index) => `${phase} ${(((times[index + 1]?.at ?? end) - time) / 1000).toFixed(1)}`,
      ),
      quietP99Ms: percentileOf(
        writes.filter(({ dueAt, ms }) => dueAt + ms < quietUntil),
        0.99,
      ),
      copyP99Ms: percentileOf(
        writes.filter(({ dueAt }) => dueAt >= first("copy") && dueAt < first("drain")),
        0.99,
      ),
      moveP99Ms: percentileOf(
        writes.filter(({ dueAt }) => dueAt >= quietUntil && dueAt < end),
        0.99,
      ),
      longestMs: Math.max(...writes.filter(({ dueAt }) => dueAt >= quietUntil).map(({ ms }) => ms)),
      gateMs: Number(view.write_pause_ms),
      writes: writes.length,
      failed: writes.filter(({ status }) => status !== 200 && status !== 201).length,
      residents,
    };
    samples.push(sample);
    say(
      `${sample.way}: ${sample.wholePerSecond.toFixed(0)}/s, $merge ${sample.mergePerSecond.toFixed(0)}/s; s: ${sample.phases.join(", ")}; p99 quiet ${sample.quietP99Ms.toFixed(0)} copy ${sample.copyP99Ms.toFixed(0)} longest ${sample.longestMs.toFixed(0)} gate ${sample.gateMs} ms; MiB ${residents.before.toFixed(0)} ${residents.peak.toFixed(0)} ${residents.after.toFixed(0)}; failed ${sample.failed}`,
    );
  }
  if (tenantsCount > 0) {
    say(`routing with ${tenantsCount} tenants…`);
    routing = routingTable(await measureRouting({ url: at, db, many: tenantsCount, rounds: options.quick ? 2 : 5 }));
  }
} finally {
  await scope.close();
}

const command = ["bun run bench:moves", ...process.argv.slice(2)].join(" ");
const seconds = Math.round((performance.now() - startedAt) / 1000);
console.log(`\`${command}\` on ${machine}; 8 clients write ${rate} times a second; took ${seconds} s.\n`);
if (samples.length > 0) console.log(`${moveTable(samples)}\n`);
if (routing) console.log(`${routing}\n`);
const failed = samples.reduce((sum, sample) => sum + sample.failed, 0);
const total = samples.reduce((sum, sample) => sum + sample.writes, 0);
console.log(`Writes that were not answered with success: ${failed} of ${total}.`);
