import { describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { closingLine, countResults, failuresOf, readClosingLine } from "../../dev/junit.ts";

const report = (attributes: string) => `<?xml version="1.0"?>\n<testsuites name="bun test" ${attributes} time="0.1">`;

describe("the closing line of a test run", () => {
  test("counts what the report counts", () => {
    const counts = countResults(report('tests="7" assertions="9" failures="1" skipped="2"'), 1);
    expect(closingLine(counts)).toBe("4 passed, 1 failed, 2 skipped");
  });
  test("is read again from what a run printed, and is missing where none was printed", () => {
    for (const counts of [
      { passed: 4, failed: 1, skipped: 2 },
      { passed: 3, failed: 0, skipped: 0 },
    ])
      expect(readClosingLine(`one test\n${closingLine(counts)}\n`)).toEqual(counts);
    expect(readClosingLine("one test\n")).toBeNull();
  });
  test("says nothing of skipped tests when there are none", () => {
    expect(closingLine(countResults(report('tests="3" failures="0" skipped="0"'), 0))).toBe("3 passed, 0 failed");
  });
  test("counts a failure when all tests passed but a file did not load", () => {
    expect(closingLine(countResults(report('tests="3" failures="0" skipped="0"'), 1))).toBe("3 passed, 1 failed");
  });
  test("counts a failure when the run crashed and left no report", () => {
    expect(closingLine(countResults("", 139))).toBe("0 passed, 1 failed");
  });
});

test("what failed is said again at the end, with its place, its name and why", async () => {
  const folder = mkdtempSync(join(tmpdir(), "croupier-failing-"));
  const report = join(folder, "report.xml");
  writeFileSync(
    join(folder, "one.test.ts"),
    `import { describe, expect, test } from "bun:test";
describe("a group", () => {
  test("holds", () => {});
  test('1 < 2 & "so on"', () => expect("a > b").toBe("a < b"));
});
test("throws", () => { throw new Error("the reason"); });
`,
  );
  const run = Bun.spawn([process.execPath, "test", "--reporter=junit", `--reporter-outfile=${report}`], {
    cwd: folder,
    stdio: ["ignore", "ignore", "ignore"],
  });
  expect(await run.exited).toBe(1);
  const failures = failuresOf(readFileSync(report, "utf8"));
  rmSync(folder, { recursive: true });
  expect(failures).toHaveLength(2);
  expect(failures[0]).toStartWith(
    'FAILED: one.test.ts:4: a group > 1 < 2 & "so on"\n  expect(received).toBe(expected)',
  );
  expect(failures[0]).toContain('Received: "a > b"');
  expect(failures[1]).toBe("FAILED: one.test.ts:6: throws\n  the reason");
});
