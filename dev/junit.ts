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
