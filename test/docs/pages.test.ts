import { describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { basename, join } from "node:path";
import { Glob } from "bun";
import manifest from "../../package.json" with { type: "json" };
import { anchorsOf, fencesOf, linksOf, pages, quotesOf, root } from "../support/pages.ts";

const paths = Object.keys(pages);
const folders = ["src", "test", "docs", "dev", "bench", ".ci"];
const basenames = new Set(
  folders
    .flatMap((folder) => [...new Glob("**/*").scanSync({ cwd: join(root, folder), dot: true })])
    .map((path) => basename(path)),
);

/** A path from the root or from `src`, or the mere name of a file, as pages shorten what they have just named. */
const isThere = (path: string): boolean =>
  existsSync(join(root, path)) || existsSync(join(root, "src", path)) || (!path.includes("/") && basenames.has(path));

const looksLikePath = (text: string): boolean =>
  new RegExp(`^(${folders.join("|").replace(".", "\\.")})/[\\w./-]*$`).test(text) ||
  /^[\w-][\w./-]*\.(ts|md|pml|json|yaml|toml)$/.test(text);

/** What stands in blocks and between backticks, a command a line. */
const commandsOf = (page: string): string[] => [
  ...fencesOf(page).flatMap(({ language, text }) => (language === "sh" ? text.split("\n") : [])),
  ...quotesOf(page),
];

/** The commands of the program that a page names: up to two words, and the options after them. */
const callsOf = (page: string): { words: string[]; options: string[] }[] =>
  commandsOf(page).flatMap((line) => {
    const [, words, rest = ""] = /(?:^|run |dist\/|\$\()croupier ([a-z][a-z-]*(?: [a-z]+)?)([^#]*)/.exec(line) ?? [];
    if (words === undefined) return [];
    return [{ words: words.split(" "), options: [...rest.matchAll(/--[a-z][\w-]*/g)].map(([option]) => option) }];
  });

/** What the program says of a command. Of what isn't one it says what there is in its place. */
async function help(words: string[]): Promise<string> {
  const command = [process.execPath, "src/main.ts", ...words, "--help"];
  const child = Bun.spawn(command, { cwd: root, stdout: "pipe", stderr: "ignore" });
  return await new Response(child.stdout).text();
}

describe("the pages for readers", () => {
  test("README is a front hall of at most 200 lines that leads to every other page", () => {
    expect(pages["README.md"]!.split("\n").length).toBeLessThanOrEqual(200);
    const led = new Set(linksOf("README.md").map(({ target }) => target));
    expect(paths.filter((path) => path !== "README.md" && path !== "AGENTS.md" && !led.has(path))).toEqual([]);
  });

  test("links lead to files and headings that exist", () => {
    const broken = paths.flatMap((path) =>
      linksOf(path).flatMap(({ target, anchor }) => {
        if (!existsSync(join(root, target))) return `${path}: ${target}`;
        const isWrong = anchor !== null && !anchorsOf(pages[target] ?? "").includes(anchor);
        return isWrong ? `${path}: ${target}#${anchor}` : [];
      }),
    );
    expect(broken).toEqual([]);
    expect(paths.flatMap(linksOf).length).toBeGreaterThan(20);
  });

  test("paths that they name exist", () => {
    const named = paths.flatMap((path) =>
      quotesOf(pages[path]!)
        .filter(looksLikePath)
        .map((text) => ({ path, text })),
    );
    expect(named.length).toBeGreaterThan(100);
    expect(named.filter(({ text }) => !isThere(text))).toEqual([]);
  });

  test("`bun run` is followed by a script that package.json has", () => {
    const named = paths.flatMap((path) =>
      commandsOf(pages[path]!).flatMap((line) =>
        [...line.matchAll(/\bbun(?:@[\d.]+)? run ([\w:]+)/g)].map(([, script]) => ({ path, script: script! })),
      ),
    );
    expect(named.length).toBeGreaterThan(10);
    expect(named.filter(({ script }) => !Object.hasOwn(manifest.scripts, script))).toEqual([]);
  });

  test("`croupier` is followed by a command and options that the program has", async () => {
    const calls = paths.flatMap((path) => callsOf(pages[path]!));
    expect(calls.length).toBeGreaterThan(8);
    const named = [...Map.groupBy(calls, ({ words }) => words.join(" "))];
    const wrong = await Promise.all(
      named.map(async ([name, same]) => {
        const text = await help(same[0]!.words);
        if (!text.startsWith(`Usage: croupier ${name} `)) return [name];
        return same
          .flatMap(({ options }) => options)
          .flatMap((option) => (text.includes(option) ? [] : `${name} ${option}`));
      }),
    );
    expect(wrong.flat()).toEqual([]);
  }, 60_000);
});
