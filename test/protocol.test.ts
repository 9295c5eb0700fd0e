import { describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { Glob } from "bun";

const root = join(import.meta.dir, "..");
const read = (path: string) => Bun.file(join(root, path)).text();
const page = await read("docs/protocol.md");
const rules = page.split(/^### /m).slice(1);
const numbers = rules.map((rule) => Number(/^Rule (\d+):/.exec(rule)?.[1]));
/** `1`, `6` or `1 to 3` or `1 and 2`, of a text that names rules. */
const named = (text: string): number[] =>
  [...text.matchAll(/\brules? (\d+)(?: (to|and) (\d+))?/g)].flatMap(([, first, how, last = first]) => {
    const [from, to] = [Number(first), Number(last)];
    return how === "to" ? Array.from({ length: to - from + 1 }, (_, index) => from + index) : [from, to];
  });

describe("docs/protocol.md", () => {
  test("numbers its rules without a gap", () => {
    expect(numbers).toEqual(Array.from({ length: numbers.length }, (_, index) => index + 1));
    expect(numbers.length).toBe(10);
  });

  test("names for each rule code and tests, and only files that exist", () => {
    for (const rule of rules) {
      const [title = ""] = rule.split("\n");
      for (const kind of ["Code", "Tests"])
        expect({ title, kind, named: rule.includes(`- ${kind}: \``) }).toMatchObject({ named: true });
    }
    const paths = [...page.matchAll(/`((?:src|test)\/[^`]+)`/g)].map(([, path]) => path!);
    expect(paths.length).toBeGreaterThan(30);
    expect(paths.filter((path) => !existsSync(join(root, path)))).toEqual([]);
  });

  test("names switches that the models have", async () => {
    for (const line of page
      .replaceAll(/,\n {2}/g, ", ")
      .replaceAll(/ in\n {2}/g, " in ")
      .split("\n")) {
      const models = [...line.matchAll(/`(test\/model\/\w+\.pml)`/g)].map(([, model]) => model!);
      const switches = [...line.matchAll(/`([A-Z][A-Z_]{3,})`/g)].map(([, name]) => name!);
      if (models.length === 0) continue;
      const texts = (await Promise.all(models.map(read))).join("\n");
      for (const name of switches)
        expect({ name, there: texts.includes(`#ifndef ${name}`) }).toEqual({ name, there: true });
    }
  });

  test("has every rule that a comment or a planted bug names", async () => {
    let found = 0;
    const files = ["src/**/*.ts", "test/support/history/*.ts"].flatMap((each) => [...new Glob(each).scanSync(root)]);
    for (const path of files) {
      const text = await read(path);
      const places = [...text.matchAll(/\(protocol: (rules? [^)]+)\)|breaks: "(rule \d+):/g)];
      for (const [, comment, bug] of places) {
        found++;
        for (const rule of named(comment ?? bug!))
          expect({ path, rule, there: numbers.includes(rule) }).toEqual({ path, rule, there: true });
      }
    }
    expect(found).toBeGreaterThan(20);
  });
});
