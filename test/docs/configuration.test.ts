import { expect, test } from "bun:test";
import { join } from "node:path";
import { settingRows } from "../../src/config.ts";

const root = join(import.meta.dir, "../..");
const page = await Bun.file(join(root, "docs/configuration.md")).text();

/** The cells of the page's table, without the white space by which columns are aligned. */
const rows = [...page.matchAll(/^\|(.*)\|$/gm)]
  .map(([, row]) => row!.split(/(?<!\\)\|/).map((cell) => cell.trim()))
  .filter(([name]) => name!.startsWith("`"));

test("docs/configuration.md has each setting with its default and its meaning, as the program says them, and no other", () => {
  const shown = (fallback: string) =>
    fallback === "" ? "–" : /^[\w.:/]+$/.test(fallback) ? `\`${fallback}\`` : fallback;
  const expected = settingRows.map(({ name, fallback, meaning }) => [`\`${name}\``, shown(fallback), meaning]);
  expect(rows).toEqual(expected.map((row) => row.map((cell) => cell.replaceAll("|", "\\|"))));
});

test("every setting says what it is for", () => {
  expect(settingRows.filter(({ meaning }) => meaning.length < 10)).toEqual([]);
  expect(new Set(settingRows.map(({ name }) => name)).size).toBe(settingRows.length);
});

test("`croupier serve --help` lists every setting", async () => {
  const child = Bun.spawn([process.execPath, join(root, "src/main.ts"), "serve", "--help"], { stdout: "pipe" });
  const help = await new Response(child.stdout).text();
  expect(settingRows.filter(({ name }) => !help.includes(`\n  ${name}`))).toEqual([]);
});
