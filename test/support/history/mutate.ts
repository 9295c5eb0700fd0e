import { join } from "node:path";
import { dirtyRead, type Verdict } from "./check.ts";
import { runLife } from "./life-run.ts";
import { type Mutation, mutations, plant, staleEdits } from "./mutations.ts";
import { runMoveHistory } from "./run.ts";
import { tiersOf } from "./tenant.ts";

/** What became of one mutation: which rules of the checker found it, in which run, and how many runs had dirty reads. */
export type Hunt = { name: string; breaks: string; found: string; runs: number; dirty: number; requests: number };

type Settings = { seed: number; runs: number; databaseUrl: string; saveTo: string };

/** Runs the code with a bug in it until the checker finds it, at most so often. */
async function hunt(mutation: Mutation, settings: Settings): Promise<Hunt> {
  const { name, breaks, leavesBehind } = mutation;
  const stale = staleEdits(mutation);
  if (stale.length > 0) return { name, breaks, found: `STALE: ${stale.join("; ")}`, runs: 0, dirty: 0, requests: 0 };
  const mutant = plant(mutation);
  let [requests, dirty] = [0, 0];
  try {
    for (let run = 0; run < settings.runs; run++) {
      const seed = settings.seed + run;
      const { what, begin } = tryOf(mutation, run, { ...settings, seed, program: mutant.program });
      const found = await begin().then(
        ({ violations, counts }) => {
          requests += counts.events ?? counts.requests!;
          const rules = new Set(violations.map(({ rule }) => rule));
          if (!leavesBehind) rules.delete("left behind");
          // The pauses make these without a mutation too.
          if (rules.delete(dirtyRead)) dirty++;
          const first = violations.find(({ rule }) => rules.has(rule));
          if (first) console.log(`${first.rule} ${first.key ?? ""}: ${first.message}`);
          return [...rules].join(", ");
        },
        (error) => {
          // A move that doesn't end loses nothing.
          console.log(String(error));
          return "";
        },
      );
      console.log(`${name}: ${what} seed ${seed}: ${found || "nothing found"}`);
      if (found) return { name, breaks, found: `${found} (${what}, seed ${seed})`, runs: run + 1, dirty, requests };
    }
    return { name, breaks, found: "", runs: settings.runs, dirty, requests };
  } finally {
    mutant.remove();
  }
}

/** One run of the kind that shows it. */
function tryOf(
  { name, shownBy, livedBy = [], config, leavesBehind }: Mutation,
  run: number,
  { seed, databaseUrl, saveTo: folder, program }: Settings & { program: string },
): { what: string; begin(): Promise<Verdict> } {
  const [direction = "", fault = ""] = shownBy[run % shownBy.length] ?? ["life", livedBy[run % livedBy.length]];
  const what = `${direction} ${fault}`;
  const saveTo = join(folder, `${`${name} ${what}`.replaceAll(/[ >/]/g, "-")}-${seed}.jsonl`);
  const common = { seed, fault, databaseUrl, program, saveTo, ...(config && { config }) };
  if (shownBy.length === 0) {
    return { what, begin: () => runLife({ ...common, ...(!leavesBehind && { sweepMs: 2_000 }) }) };
  }
  // What is broken may never end, or never be swept up; there is no need to wait for it.
  const patience = { moveMs: 90_000, sweepMs: 2_000, clients: 16, afterMs: 3_000 };
  const leases = { OPERATION_LEASE_MS: "3000", ...config };
  return { what, begin: () => runMoveHistory({ ...common, ...tiersOf(direction), ...patience, config: leases }) };
}

/** Hunts for all mutations whose name has one of the texts in it, which are separated by commas. @returns whether each was found, and none where there was none */
export async function huntAll(settings: Settings & { only: string }): Promise<boolean> {
  const wanted = settings.only.split(",");
  const hunts: Hunt[] = [];
  for (const mutation of mutations.filter(({ name }) => wanted.some((text) => name.includes(text)))) {
    hunts.push(await hunt(mutation, settings));
  }
  console.table(hunts);
  return hunts.every(({ found }, index) => {
    const isControl = mutations.find(({ name }) => name === hunts[index]!.name)!.edits.length === 0;
    return isControl ? found === "" : found !== "" && !found.startsWith("STALE");
  });
}
