import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fencesOf, pages, root } from "../support/pages.ts";
import { useService } from "../support/service.ts";

const service = useService();

/**
 * A session is a block of commands, and right after it what it prints. One that needs what a machine of the tests hasn't says so
 * in a comment before it, `<!-- not run: needs … -->`.
 */
const sessions = Object.entries(pages).flatMap(([path, page]) => {
  const fences = fencesOf(page);
  return fences.flatMap(({ language, text, before }, index) => {
    const printed = fences[index + 1];
    if (language !== "sh" || printed?.language !== "text" || !/^\s*prints\b[^#]*$/.test(printed.before)) return [];
    const skipped = /<!-- not run: (needs [^>]+) -->\s*$/.exec(before)?.[1] ?? null;
    return [
      {
        name: `${path}, line ${page.slice(0, page.indexOf(text)).split("\n").length}`,
        text,
        printed: printed.text,
        skipped,
      },
    ];
  });
});

/** Commands as the pages have them work on the service of this file. */
const settings = () => ({
  PATH: process.env.PATH!,
  MONGODB_URL: process.env.MONGODB_URL!,
  MONGODB_DB_NAME: service.db.databaseName,
  JWT_SECRET_KEY: "a-secret-of-the-tests-and-of-nothing-else",
});
const asHere = (text: string) =>
  text
    .replaceAll("http://127.0.0.1:8000", service.url)
    .replaceAll(/(?:npx -y bun@[\d.]+|bun) run croupier/g, `'${process.execPath}' '${join(root, "src/main.ts")}'`);

async function run(text: string): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "croupier-session-"));
  const shell = Bun.spawn(["bash", "-c", asHere(text)], {
    cwd: folder,
    env: settings(),
    stdout: "pipe",
    stderr: "inherit",
  });
  const printed = await new Response(shell.stdout).text();
  await shell.exited;
  rmSync(folder, { recursive: true });
  return printed;
}

/** What is another each time: ids, times, secrets, counts of what went on beside it, numbers after a name that was left. */
const withoutChance = (text: string, databaseName: string): string =>
  text
    .trim()
    .replaceAll(databaseName, "croupier_master")
    .replaceAll(/\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b/g, "UUID")
    .replaceAll(/(?<![0-9a-f])[0-9a-f]{24}(?![0-9a-f])/g, "ID")
    .replaceAll(/\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/g, "TIME")
    .replaceAll(/\b(eyJ|crt_)[\w.-]+…?/g, "$1…")
    .replaceAll(/("write_pause_ms":|acknowledged: |"n":)\d+/g, "$1N")
    .replaceAll(/(_ID_)\d+/g, "$1N")
    .replaceAll(/(org_[\w-]+)~\d+/g, "$1");

describe("the sessions that pages print", () => {
  test("are found", () => {
    expect(sessions.length).toBeGreaterThanOrEqual(2);
  });

  for (const { name, text, printed, skipped } of sessions)
    test.skipIf(skipped !== null)(
      `print what the page says: ${name}${skipped ? `, which ${skipped}` : ""}`,
      async () => {
        const { databaseName } = service.db;
        expect(withoutChance(await run(text), databaseName)).toBe(withoutChance(printed, databaseName));
      },
      120_000,
    );
});
