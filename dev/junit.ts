export type Counts = { passed: number; failed: number; skipped: number };

/**
 * Counts from Bun's JUnit report. A file that did not load and a crash are not in the report: the exit code tells of
 * them, and they count as one failure.
 */
export function countResults(report: string, exitCode: number): Counts {
  const total = report.match(/<testsuites\b[^>]*>/)?.[0] ?? "";
  const read = (name: string) => Number(total.match(new RegExp(`\\b${name}="(\\d+)"`))?.[1] ?? 0);
  const skipped = read("skipped");
  const failed = read("failures") + read("errors");
  return { passed: read("tests") - failed - skipped, failed: exitCode === 0 ? failed : Math.max(failed, 1), skipped };
}

export function closingLine({ passed, failed, skipped }: Counts): string {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`;
}

/** What a closing line in some output says; null when there is none. */
export function readClosingLine(output: string): Counts | null {
  const found = /^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$/m.exec(output);
  return found && { passed: Number(found[1]), failed: Number(found[2]), skipped: Number(found[3] ?? 0) };
}

const named: Record<string, string> = { lt: "<", gt: ">", quot: '"', apos: "'", amp: "&" };
const decode = (text: string) =>
  text.replace(/&(?:#(\d+)|#x([\da-f]+)|(\w+));/gi, (whole, decimal, hex, name) =>
    name ? (named[name] ?? whole) : String.fromCodePoint(decimal ? Number(decimal) : Number.parseInt(hex, 16)),
  );
const attribute = (tag: string, name: string) => decode(tag.match(new RegExp(`\\s${name}="([^"]*)"`))?.[1] ?? "");

/** What failed: where, the test's name, and what was said of it; to be read again below thousands of lines. */
export function failuresOf(report: string): string[] {
  return [...report.matchAll(/(<testcase\b[^>]*[^/]>)\s*(<(?:failure|error)\b[^>]*>)/g)].map(
    ([, test = "", said = ""]) => {
      const name = [attribute(test, "classname"), attribute(test, "name")].filter(Boolean).join(" > ");
      const message = attribute(said, "message").trim() || attribute(said, "type");
      return `FAILED: ${attribute(test, "file")}:${attribute(test, "line")}: ${name}\n${message.replace(/^/gm, "  ")}`;
    },
  );
}

/** The files that took longest, in seconds: hooks are counted where Bun counts them. */
export function slowestOf(report: string, count: number): string[] {
  const files = [...report.matchAll(/<testsuite\b[^>]*>/g)].map(([tag]) => ({
    file: attribute(tag, "name"),
    seconds: Number(attribute(tag, "time")),
  }));
  return files
    .filter(({ file }) => file.endsWith(".test.ts"))
    .sort((a, b) => b.seconds - a.seconds)
    .slice(0, count)
    .map(({ file, seconds }) => `${seconds.toFixed(1)} s ${file}`);
}
