import { describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { requirements } from "./security/requirements.ts";
import { pages, root } from "./support/pages.ts";
import { testNamesOf } from "./support/test-names.ts";

const page = pages["docs/security.md"]!;
const chapters = [...page.matchAll(/^\| V(\d+) .*\|$/gm)].map(([row, chapter]) => ({ chapter: Number(chapter), row }));

describe("the requirements of test/security/requirements.ts", () => {
  test("are named by their numbers", () => {
    expect(requirements.length).toBeGreaterThan(40);
    const wrong = requirements.filter(({ of }) => !/^(V\d+\.\d+\.\d+|API\d+|RFC \d{4})\b/.test(of));
    expect(wrong).toEqual([]);
  });

  test("are met in files that exist", () => {
    for (const { of, metIn } of requirements) {
      expect({ of, isMet: metIn.length > 0 }).toEqual({ of, isMet: true });
      for (const file of metIn)
        expect({ of, file, exists: existsSync(join(root, file)) }).toMatchObject({ exists: true });
    }
  });

  test("are shown by tests that have just these names", async () => {
    for (const { of, shownBy } of requirements) {
      expect({ of, isShown: Object.values(shownBy).flat().length > 0 }).toEqual({ of, isShown: true });
      for (const [file, names] of Object.entries(shownBy)) {
        const there = testNamesOf(await Bun.file(join(root, file)).text());
        expect({ of, file, missing: names.filter((name) => !there.includes(name)) }).toMatchObject({ missing: [] });
      }
    }
  });

  test("are of the chapters of ASVS that docs/security.md says are met", () => {
    expect(chapters.map(({ chapter }) => chapter)).toEqual(Array.from({ length: 17 }, (_, index) => index + 1));
    const named = new Set(
      requirements.flatMap(({ of }) => [...of.matchAll(/\bV(\d+)\./g)].map(([, chapter]) => Number(chapter))),
    );
    const others = /There (is|are) none|TLS is up to the proxy/;
    const met = chapters.filter(({ row }) => !others.test(row)).map(({ chapter }) => chapter);
    expect([...named].sort((a, b) => a - b)).toEqual(met);
  });
});
