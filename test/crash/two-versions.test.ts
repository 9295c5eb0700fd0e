import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { dirtyRead, type Violation } from "../support/history/check.ts";
import { runLife } from "../support/history/life-run.ts";
import { runMoveHistory } from "../support/history/run.ts";
import { tiersOf } from "../support/history/tenant.ts";

// `bun run test:long versions`: processes of an earlier commit, OLD, and of this code work on one database, as they do while a
// service is replaced process by process. Every answer is recorded and judged, of whichever it came from.
setDefaultTimeout(15 * 60_000);

const root = join(import.meta.dir, "../..");
const histories = join(root, ".croupier/histories");
const databaseUrl = process.env.MONGODB_URL!;
const seed = Number(process.env.HISTORY_SEED || Math.floor(Math.random() * 1_000_000));
/** Before quotas, starter tenants' shares of indexes, and documents' connections of their own. */
const earlier = "8886e2e035ef";

const found = (violations: Violation[]) =>
  violations
    .filter(({ rule }) => rule !== dirtyRead)
    .map(({ rule, key, message }) => `${rule} ${key ?? ""}: ${message}`);

/** docs/operating.md, "May two versions run at once?": an index that a newer process has made is another one to an older. */
const isKnown = (told: string): boolean => /^move failed : failed in .*another index of this name/i.test(told);

/** The process that is killed again and again is the first; the others take over what it had begun. */
const killed = ["old", "new"] as const;

describe.skipIf(!process.env.TWO_VERSIONS)("two versions on one database", () => {
  let folder: string;
  let oldProgram: string;
  beforeAll(() => {
    mkdirSync(histories, { recursive: true });
    folder = mkdtempSync(join(tmpdir(), "croupier-old-"));
    const parts = "src dev test/support package.json tsconfig.json";
    const commit = process.env.OLD || earlier;
    const command = `git archive "$1" ${parts} | tar -x -C "$2"`;
    const { exitCode } = Bun.spawnSync(["sh", "-c", command, "sh", commit, folder], { cwd: root });
    if (exitCode !== 0) throw new Error(`The code of ${commit} is not to be had`);
    symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
    oldProgram = join(folder, "test/support/crash-child.ts");
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test.each(killed)("lose nothing and answer no 500 while organizations live; processes killed: %s", async (which) => {
    const programOf = (index: number) => ((index === 0) === (which === "old") ? oldProgram : undefined);
    const saveTo = join(histories, `${which}-killed-${seed}.jsonl`);
    const run = { seed, databaseUrl, actions: 20 };
    const { violations, counts, happened } = await runLife({ ...run, fault: "kill", programOf, saveTo });
    console.log(`${which} killed, seed ${seed}: ${JSON.stringify(counts)}`);
    expect(found(violations), `seed ${seed}`).toEqual([]);
    expect(happened).toBe(true);
  });

  test.each(["s>p", "p>e", "e>s"])(
    "go on with a move when the process that drives it dies, of whichever version that is: %s",
    async (direction) => {
      let deaths = 0;
      for (const [n, step] of ["journal", "copy", "drain", "clean"].entries()) {
        const fault = `kill@${step}/after`;
        const programOf = (index: number) => (index === n % 2 ? oldProgram : undefined);
        const saveTo = join(histories, `versions-${direction.replace(">", "-")}-${seed + n}.jsonl`);
        const run = { seed: seed + n, ...tiersOf(direction), databaseUrl, documents: 400, processes: 2 };
        const { violations, counts, happened, status } = await runMoveHistory({ ...run, fault, programOf, saveTo });
        console.log(`${direction} ${fault}, seed ${seed + n}: ${JSON.stringify(counts)}`);
        const told = found(violations);
        expect(
          told.filter((each) => !isKnown(each)),
          `seed ${seed + n}`,
        ).toEqual([]);
        expect(status).toBe(told.some(isKnown) ? "failed" : "succeeded");
        if (happened) deaths++;
      }
      expect(deaths).toBeGreaterThan(1);
    },
  );
});
