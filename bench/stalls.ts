/**
 * `bun run bench:stalls [--binary] [--rounds=3] [--only=REGEXP]`
 *
 * How long others wait while the heaviest permitted bodies are sent to every route, one after another: `GET /` is asked 50
 * times a second, and eight tenants work, by a process of their own. What they wait is told apart by what was being answered
 * just then; the first row is what they wait when nothing heavy is.
 */
import { parseArgs } from "node:util";
import { MongoClient } from "mongodb";
import { openDatabase } from "../dev/database/chain.ts";
import { createProgress } from "../dev/lib/progress.ts";
import { endingWithParent } from "../dev/lib/process.ts";
import { createScope } from "../dev/lib/scope.ts";
import { onStopSignal } from "../dev/lib/signals.ts";
import { settingsFor } from "../dev/settings.ts";
import { depsOfCommand } from "../test/support/command-deps.ts";
import { createKey } from "../src/operator/create-key.ts";
import { scopes } from "../src/operator/key.ts";
import type { Call, CallerJob } from "./callers.ts";
import { croupierCommand, launch, send } from "./contestants.ts";
import { createTenant, insertMany } from "./document-contestants.ts";
import { benchDocument, extendedDate } from "./document.ts";
import { heavyArrays, heavyFields, heavyQueries, inflatedRequests } from "./heavy-bodies.ts";
import { request } from "./load.ts";
import { residentMiB } from "./measure.ts";
import { machineLine } from "./report.ts";
import { type Heavy, stallTable } from "./stall-table.ts";

const { values: options } = parseArgs({
  options: {
    binary: { type: "boolean", default: false },
    rounds: { type: "string", default: "3" },
    only: { type: "string", default: "" },
  },
});
const only = new RegExp(options.only);
const rounds = Number(options.rounds);
/** What an answer leaves behind, garbage to collect say, still counts as its own. */
const restMs = 150;
const quietMs = 6_000;
const [tenantsCount, bodyBytesMax, documentsBytesMax] = [8, 1_048_576, 17 * 1_048_576];

const say = (line: string) => console.error(line);
const startedAt = performance.now();
const scope = createScope();
onStopSignal(() => scope.close().finally(() => process.exit(130)));

/** What eight tenants and those who look in ask for. */
async function callsTo(url: string): Promise<CallerJob["calls"]> {
  const work: string[] = [];
  for (let index = 0; index < tenantsCount; index++) {
    const { headers } = await createTenant(url, `bench-busy-${index}`);
    const [id] = await insertMany(url, headers, 100);
    work.push(
      request("GET", `/org/documents/${id}`, undefined, headers),
      request("POST", "/org/documents", benchDocument(index, extendedDate), headers),
      request("POST", "/org/documents/find", { filter: { color: "red" }, limit: 10 }, headers),
    );
  }
  return [
    { label: "GET /", requests: [request("GET", "/")], perSecond: 50 },
    { label: "tenants", requests: work, perSecond: 50 },
  ];
}

function startCallers(job: CallerJob): Call[] {
  const child = Bun.spawn(endingWithParent([process.execPath, new URL("./callers.ts", import.meta.url).pathname]), {
    stdin: new Blob([JSON.stringify(job)]),
    stderr: "inherit",
  });
  scope.defer(async () => {
    child.kill();
    await child.exited;
  });
  const calls: Call[] = [];
  void (async () => {
    const decoder = new TextDecoder();
    let text = "";
    for await (const chunk of child.stdout) {
      text += decoder.decode(chunk, { stream: true });
      const lines = text.split("\n");
      text = lines.pop()!;
      for (const line of lines) calls.push(JSON.parse(line));
    }
  })();
  return calls;
}

const heavy: Heavy[] = [];
let [calls, machine, memory]: [Call[], string, string] = [[], "", ""];
try {
  const { url: mongodbUrl } = await openDatabase(settingsFor("test"), scope, createProgress());
  const client = await new MongoClient(mongodbUrl, { serverSelectionTimeoutMS: 5000 }).connect();
  scope.defer(() => client.close());
  machine = await machineLine(client.db("admin"), undefined);
  const program = {
    title: "Croupier",
    command: croupierCommand(options.binary),
    databaseName: "croupier_bench_stalls",
    env: { DEFAULT_TIER: "starter", BCRYPT_ROUNDS: "4" },
  };
  const db = client.db(program.databaseName);
  const { url, port, pid } = await launch(program, mongodbUrl, db, scope);
  const { headers: admin } = await createTenant(url, "bench-heavy");
  const { key } = await createKey(depsOfCommand(db), { name: "bench", scopes: [...scopes] });
  const job = { port, pid, calls: await callsTo(url) };

  const ask = async (
    route: string,
    what: string,
    method: string,
    path: string,
    body?: string,
    headers: Record<string, string> = admin,
  ) => {
    const began = Date.now();
    const answer = await fetch(url + path, {
      method,
      headers: { "content-type": "application/json", ...headers },
      ...(body !== undefined && { body }),
    });
    const bytes = (await answer.bytes()).byteLength;
    heavy.push({ route, what, status: answer.status, bytes, began, ended: Date.now() + restMs });
    await Bun.sleep(restMs);
  };
  const isWanted = (route: string, what: string) => only.test(`${route} ${what}`);

  // Everything once before, as code that runs for the first time is compiled.
  await send(`${url}/org/documents`, [{ _id: "warm", a: 1 }], 201, admin);
  calls = startCallers(job);
  await Bun.sleep(2_000);
  heavy.push({ route: "nothing", what: "", status: 0, bytes: 0, began: Date.now(), ended: Date.now() + quietMs });
  await Bun.sleep(quietMs + 500);

  const path = "/org/documents/heavy";
  for (const [what, make] of Object.entries(heavyFields)) {
    if (!isWanted("documents", what)) continue;
    say(what);
    const fields = make();
    for (let round = 0; round < rounds; round++) {
      await ask("POST /org/documents", what, "POST", "/org/documents", `{"_id":"heavy",${fields}}`);
      if (heavy.at(-1)!.status === 201) {
        await ask("GET /org/documents/{id}", what, "GET", path);
        await ask("PATCH {id}, a small patch", what, "PATCH", path, `{"z":${round}}`);
        await ask("GET /org/documents", what, "GET", "/org/documents?limit=10");
        await ask("POST …/find", what, "POST", "/org/documents/find", '{"sort":"z","projection":{"y":0}}');
        await ask(
          "POST …/aggregate",
          what,
          "POST",
          "/org/documents/aggregate",
          '{"pipeline":[{"$match":{"_id":"heavy"}}]}',
        );
      } else await send(`${url}/org/documents`, [{ _id: "heavy" }], 201, admin);
      await ask("PUT {id}", what, "PUT", path, `{${fields}}`);
      await ask("PATCH {id}, the same", what, "PATCH", path, `{${fields}}`);
      await ask("PATCH {id}, all anew", what, "PATCH", path, `{"b":{${fields}},"a":null}`);
      await ask("DELETE {id}", what, "DELETE", path);
    }
  }
  for (const [what, make] of Object.entries(heavyArrays)) {
    if (!isWanted("arrays", what)) continue;
    say(what);
    const body = make();
    const headers = { ...(await createTenant(url, `bench-${what.length}`)).headers };
    for (let round = 0; round < rounds; round++) {
      await ask("POST /org/documents", what, "POST", "/org/documents", body, headers);
      await ask("POST /org/documents with a key", what, "POST", "/org/documents", body, {
        ...headers,
        "idempotency-key": `${round}`,
      });
      await ask("GET /org/documents", what, "GET", "/org/documents?limit=1000", undefined, headers);
    }
  }
  for (const [query, what, make] of heavyQueries) {
    if (!isWanted("queries", what)) continue;
    say(`${query}: ${what}`);
    const body = make();
    for (let round = 0; round < rounds; round++)
      await ask(`POST …/${query}`, what, "POST", `/org/documents/${query}`, body);
  }
  const openApi = await (await fetch(`${url}/openapi.json`)).json();
  const bytesOf = (method: string, path: string) =>
    (method === "POST" ? path === "/org/documents" : path.startsWith("/org/documents/"))
      ? documentsBytesMax
      : bodyBytesMax;
  // One route's at a time, as all together are some gigabytes.
  for (const each of isWanted("routes", "") ? inflatedRequests(openApi, bytesOf) : []) {
    const credentials =
      each.wants === "nobody" ? {} : each.wants === "operator" ? { authorization: `Bearer ${key}` } : admin;
    await ask(each.route, "its example, a part made large", each.method, each.path, each.body(), {
      "content-type": each.contentType,
      ...credentials,
    });
  }
  await Bun.sleep(500);
  const { now, peak } = await residentMiB(pid);
  memory = `Resident memory of the service: ${now.toFixed(0)} MiB at the end, ${peak.toFixed(0)} MiB at its peak.`;
} finally {
  await scope.close();
}

const command = ["bun run bench:stalls", ...process.argv.slice(2)].join(" ");
console.log(`\`${command}\` on ${machine}; took ${Math.round((performance.now() - startedAt) / 1000)} s.\n`);
console.log(`${stallTable(heavy, calls)}\n\n${memory}`);
