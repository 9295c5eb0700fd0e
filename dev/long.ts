// `bun run test:long [WORDS]`: the searches that take longer than a test run should, one after the other; with WORDS those whose
// name has them. LONG_MINUTES: in another order each time, and none is begun after so many minutes.
import { join } from "node:path";
import { type Counts, closingLine, readClosingLine } from "./junit.ts";

type Search = { name: string; files: string[]; env: Record<string, string> };

const search = (name: string, env: Record<string, string>, ...files: string[]): Search => ({ name, files, env });
const inFull = { CRASH_MATRIX: "full" };
/** Bun takes each as a pattern for a whole name. */
const crash = (file: string) => `test/crash/${file}.test.ts`;

const searches: Search[] = [
  search("each request killed at each of its moments", inFull, crash("kill"), crash("twice")),
  search("each request stopped at each of its moments", inFull, crash("stop")),
  search("the database away at each moment of a change", inFull, "test/http/database-away.test.ts"),
  search("moves in all directions, with all faults", { HISTORIES: "full" }, "test/tenant/move-history.test.ts"),
  search("two versions on one database", { TWO_VERSIONS: "full" }, crash("two-versions")),
  search("isolation between tenants", { ISOLATION_RUNS: "20000" }, "test/tenant/isolation.test.ts"),
  search("renewals in two tabs", { TAB_RENEWALS: "1000" }, "test/session/tabs.test.ts"),
  search("random queries", { QUERY_RUNS: "2000" }, "test/tenant/query/same-answers.test.ts"),
  search("random expressions end", { EXPRESSION_RUNS: "300" }, "test/tenant/query/ends.test.ts"),
  search("OpenAPI: validators and generators", { OPENAPI_TOOLS: "full" }, "test/http/openapi-generators.test.ts"),
  search("the database survives", { SURVIVES: "full" }, "test/tenant/query/survives.test.ts"),
  ...["provision", "update", "remove", "discard", "move", "stamp", "index", "sweep"].map((kind) =>
    search(`${kind}: each statement refused`, { ALWAYS_REFUSED: `${kind}/` }, "test/operation/always-refused.test.ts"),
  ),
];

/** In any order, each as likely. */
function shuffled<T>(all: readonly T[]): T[] {
  const rest = [...all];
  return all.map(() => rest.splice(Math.floor(Math.random() * rest.length), 1)[0]!);
}

async function run({ name, files, env }: Search): Promise<Counts> {
  console.log(
    `== ${name}: ${Object.entries(env)
      .map(([key, value]) => `${key}='${value}'`)
      .join(" ")} bun run test ${files.join(" ")}`,
  );
  const command = [process.execPath, join(import.meta.dir, "test.ts"), ...files];
  const child = Bun.spawn(command, { env: { ...process.env, ...env }, stdout: "pipe", stderr: "inherit" });
  let text = "";
  for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
    process.stdout.write(chunk);
    text += chunk;
  }
  const counts = readClosingLine(text) ?? { passed: 0, failed: 0, skipped: 0 };
  // One that ended without a closing line has failed as a whole.
  if ((await child.exited) !== 0 && counts.failed === 0) counts.failed = 1;
  return counts;
}

const words = process.argv.slice(2).join(" ");
const minutes = process.env.LONG_MINUTES ? Number(process.env.LONG_MINUTES) : null;
const wanted = searches.filter(({ name }) => name.includes(words));
if (wanted.length === 0) throw new Error(`There is no search with "${words}" in its name`);
const endMs = performance.now() + (minutes ?? Number.POSITIVE_INFINITY) * 60_000;
const total: Counts = { passed: 0, failed: 0, skipped: 0 };
let left = 0;
for (const one of minutes === null ? wanted : shuffled(wanted)) {
  if (performance.now() > endMs) {
    left++;
    continue;
  }
  const counts = await run(one);
  for (const key of ["passed", "failed", "skipped"] as const) total[key] += counts[key];
}
if (left > 0) console.log(`${left} of ${wanted.length} searches were not begun within ${minutes} minutes`);
console.log(closingLine(total));
process.exit(total.failed > 0 || total.passed === 0 ? 1 : 0);
