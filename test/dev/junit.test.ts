import { describe, expect, test } from "bun:test";
import { closingLine, countResults } from "../../dev/junit.ts";

const report = (attributes: string) => `<?xml version="1.0"?>\n<testsuites name="bun test" ${attributes} time="0.1">`;

describe("the closing line of a test run", () => {
  test("counts what the report counts", () => {
    const counts = countResults(report('tests="7" assertions="9" failures="1" skipped="2"'), 1);
    expect(closingLine(counts)).toBe("4 passed, 1 failed, 2 skipped");
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
