import { describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dir, "..");
const text = await Bun.file(join(root, "SECURITY.md")).text();
const met = text.slice(text.indexOf("## What is met"), text.indexOf("## What is not"));
const rows = met
  .split("\n")
  .filter((line) => line.startsWith("| ") && !/^\| (requirement|-)/.test(line))
  .map(
    (line) =>
      line
        .split("|")
        .slice(1, -1)
        .map((cell) => cell.trim()) as [string, string, string],
  );

describe("SECURITY.md", () => {
  test("names for each requirement where it is met, in files that exist", () => {
    expect(rows.length).toBeGreaterThan(40);
    for (const [requirement, files] of rows) {
      const named = [...files.matchAll(/`([^`]+)`/g)].map(([, file]) => file!);
      expect({ requirement, named: named.length > 0 }).toEqual({ requirement, named: true });
      for (const file of named) expect({ file, exists: existsSync(join(root, file)) }).toEqual({ file, exists: true });
    }
  });

  test("names for each requirement a test that is there under that name", async () => {
    for (const [requirement, , shown] of rows) {
      const named = [...shown.matchAll(/`(test\/[^`]+)`: “([^”]+)”/g)];
      expect({ requirement, named: named.length > 0 }).toEqual({ requirement, named: true });
      for (const [, file, name] of named) {
        const source = await Bun.file(join(root, file!))
          .text()
          .catch(() => "");
        expect({ file, name, there: source.includes(name!) }).toEqual({ file, name, there: true });
      }
    }
  });

  test("names requirements by their numbers", () => {
    for (const [requirement] of rows) expect(requirement).toMatch(/^(V\d+\.\d+\.\d+|API\d+|RFC \d{4}|RateLimit)\b/);
  });
});
