// bun test/support/history/life.ts --seed N --runs N --faults a,b|all [--actions N] [--database URL] [--save FOLDER]
// Lets organizations live, with every fault, for as long as one likes; prints what came of each run.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { lifeFaults } from "./life-faults.ts";
import { runLife } from "./life-run.ts";

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: String(Math.floor(Math.random() * 1_000_000)) },
    runs: { type: "string", default: "1" },
    faults: { type: "string", default: "everything" },
    /** How many things happen to each organization and those after it. */
    actions: { type: "string", default: "12" },
    /** Whether records may name organizations that are removed. */
    personal: { type: "boolean", default: false },
    database: { type: "string", default: process.env.MONGODB_URL ?? "mongodb://127.0.0.1:27017" },
    save: { type: "string", default: ".croupier/histories" },
  },
});
process.env.MONGODB_URL = values.database;
mkdirSync(values.save, { recursive: true });

let seed = Number(values.seed);
let wrong = 0;
for (const fault of values.faults === "all" ? lifeFaults : values.faults.split(",")) {
  for (let run = 0; run < Number(values.runs); run++, seed++) {
    const saveTo = join(values.save, `life-${fault}-${seed}.jsonl`);
    const settings = { seed, fault, databaseUrl: values.database, saveTo };
    try {
      const { personal } = values;
      const verdict = await runLife({ ...settings, personal, actions: Number(values.actions) });
      const { violations, counts, happened } = verdict;
      console.log(
        `${fault} seed ${seed}: ${violations.length} violations${happened ? "" : ", the fault didn't come about"}; ${JSON.stringify(counts)}`,
      );
      for (const { rule, key, message } of violations.slice(0, 8)) console.log(`  ${rule} ${key ?? ""}: ${message}`);
      if (violations.length > 0) wrong++;
    } catch (error) {
      wrong++;
      console.log(`${fault} seed ${seed}: ${error instanceof Error ? error.stack : error}`);
    }
  }
}
process.exit(wrong > 0 ? 1 : 0);
