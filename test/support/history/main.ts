// bun test/support/history/main.ts --seed N --runs N --faults a,b|all --directions s>p,p>e|all [--database URL] [--save FOLDER]
// bun test/support/history/main.ts --mutations [TEXT IN A NAME] --seed N --runs N
// The first runs the history checker for as long as one likes; prints a table of fault × direction, and what was found.
// The second plants one bug after the other into a copy of the code and runs until the checker finds it.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { dirtyRead, type Violation } from "./check.ts";
import { allFaults, makesDirtyReads } from "./faults.ts";
import { huntAll } from "./mutate.ts";
import { type RunVerdict, runMoveHistory } from "./run.ts";
import { allDirections, tiersOf } from "./tenant.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seed: { type: "string", default: String(Math.floor(Math.random() * 1_000_000)) },
    runs: { type: "string", default: "1" },
    faults: { type: "string", default: "none" },
    directions: { type: "string", default: "all" },
    documents: { type: "string", default: "300" },
    database: { type: "string", default: process.env.MONGODB_URL ?? "mongodb://127.0.0.1:27017" },
    /** A shell command that kills the primary of the database and starts it again. */
    "kill-primary": { type: "string" },
    mutations: { type: "boolean", default: false },
    save: { type: "string", default: ".croupier/histories" },
  },
});
const faults = values.faults === "all" ? allFaults : values.faults.split(",");
const directions = values.directions === "all" ? allDirections : values.directions.split(",");
process.env.MONGODB_URL = values.database;
mkdirSync(values.save, { recursive: true });

if (values.mutations) {
  const settings = {
    seed: Number(values.seed),
    runs: Number(values.runs),
    databaseUrl: values.database,
    saveTo: values.save,
  };
  process.exit((await huntAll({ ...settings, only: positionals[0] ?? "" })) ? 0 : 1);
}

type Cell = { runs: number; missed: number; wrong: number; dirty: number; requests: number; unknown: number };
const table: Record<string, Record<string, string>> = {};
let seed = Number(values.seed);
let wrong = 0;
for (const fault of faults) {
  for (const direction of directions) {
    const cell: Cell = { runs: 0, missed: 0, wrong: 0, dirty: 0, requests: 0, unknown: 0 };
    for (let run = 0; run < Number(values.runs); run++, seed++) {
      const verdict = await runOne(fault, direction);
      cell.runs++;
      const [dirty = [], others] = verdict ? parted(verdict.violations) : [];
      if (!others || others.length > 0 || (dirty.length > 0 && !makesDirtyReads(fault))) cell.wrong++;
      cell.dirty += dirty.length;
      if (verdict && !verdict.happened) cell.missed++;
      cell.requests += verdict?.counts.events ?? 0;
      cell.unknown += verdict?.counts.unknown ?? 0;
    }
    wrong += cell.wrong;
    const { runs, missed, dirty, requests, unknown } = cell;
    (table[fault] ??= {})[direction] =
      `${cell.wrong ? `${cell.wrong} WRONG of ` : ""}${runs} (${requests}, ${unknown}?${missed ? `, ${missed} missed` : ""}${dirty ? `, ${dirty} dirty` : ""})`;
  }
}
console.table(table);
console.log("cells: runs (requests, of which without an answer that tells; runs that missed the fault; dirty reads)");
process.exit(wrong > 0 ? 1 : 0);

function parted(violations: Violation[]): [dirty: Violation[], others: Violation[]] {
  const isDirty = ({ rule }: Violation) => rule === dirtyRead;
  return [violations.filter(isDirty), violations.filter((one) => !isDirty(one))];
}

async function runOne(fault: string, direction: string): Promise<RunVerdict | null> {
  const killPrimary = values["kill-primary"];
  const saveTo = join(values.save, `${fault.replaceAll("/", "-")}-${direction.replace(">", "-")}-${seed}.jsonl`);
  try {
    const verdict = await runMoveHistory({
      seed,
      ...tiersOf(direction),
      fault,
      databaseUrl: values.database,
      documents: Number(values.documents),
      saveTo,
      ...(killPrimary && { killPrimary: async () => void (await Bun.$`sh -c ${killPrimary}`.quiet()) }),
    });
    const { violations, counts, moveMs, status, resumed, happened } = verdict;
    console.log(
      `${fault} ${direction} seed ${seed}: ${violations.length} violations; ${status} in ${Math.round(moveMs)} ms` +
        `${resumed ? `, resumed ${resumed} times` : ""}${happened ? "" : ", the fault didn't come about"}; ${JSON.stringify(counts)}`,
    );
    for (const { rule, key, message } of violations.slice(0, 5)) console.log(`  ${rule} ${key ?? ""}: ${message}`);
    return verdict;
  } catch (error) {
    console.log(`${fault} ${direction} seed ${seed}: ${error instanceof Error ? error.stack : error}`);
    return null;
  }
}
