// `bun run test [what bun test takes]`: a throw-away database, all tests on it, one closing line.
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { closingLine, countResults, failuresOf, slowestOf } from "./junit.ts";
import { runWithDatabase } from "./run.ts";

const slowestMax = 15;
const folder = mkdtempSync(join(tmpdir(), "croupier-junit-"));
const report = join(folder, "report.xml");
const reporter = ["--reporter=junit", `--reporter-outfile=${report}`];
const given = process.argv.slice(2);
// All files two at a time, as each waits for the database, processes and leases; what is asked for by name one after the other,
// and with ONE_AT_A_TIME all.
const how = given.length === 0 && !process.env.ONE_AT_A_TIME ? "--parallel=2" : "--isolate";
// A slow machine is no failure: the tests themselves say what has to happen in time.
const command = [process.execPath, "test", how, "--timeout=60000", ...reporter, ...given];

const exitCode = await runWithDatabase("test", command);
const results = existsSync(report) ? readFileSync(report, "utf8") : "";
const counts = countResults(results, exitCode);
rmSync(folder, { recursive: true, force: true });

const slowest = slowestOf(results, slowestMax);
if (slowest.length === slowestMax) console.log(`The slowest files:\n  ${slowest.join("\n  ")}`);
for (const failure of failuresOf(results)) console.log(failure);
console.log(closingLine(counts));
process.exit(counts.failed > 0 || counts.passed === 0 ? 1 : 0);
