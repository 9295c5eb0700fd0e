import { dirname, join, normalize } from "node:path";
import { Glob } from "bun";

export const root = join(import.meta.dir, "../..");

/** Every page for readers, by its path from the root of the repository. */
export const pages: Record<string, string> = {};
for (const path of ["*.md", "docs/*.md"].flatMap((glob) => [...new Glob(glob).scanSync(root)].sort()))
  pages[path] = await Bun.file(join(root, path)).text();

export type Fence = {
  language: string;
  text: string;
  /** What stands between it and the fence before. */
  before: string;
};

/** The blocks between ``` of a page, in their order. */
export function fencesOf(page: string): Fence[] {
  const parts = page.split(/^```(.*)\n/m);
  const fences: Fence[] = [];
  for (let index = 1; index + 1 < parts.length; index += 4)
    fences.push({ language: parts[index]!.trim(), text: parts[index + 1]!, before: parts[index - 1]! });
  return fences;
}

/** A page without its blocks. */
const proseOf = (page: string): string => page.replace(/^```[^]*?^```$/gm, "");

/** As GitHub makes them of headings. */
export const anchorsOf = (page: string): string[] =>
  [...proseOf(page).matchAll(/^#+ (.+)$/gm)].map(([, heading]) =>
    heading!
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}_ -]/gu, "")
      .replaceAll(" ", "-"),
  );

/** A link of a page that leads into the repository: a path from its root, and the heading there. */
export const linksOf = (path: string): { target: string; anchor: string | null }[] =>
  [...proseOf(pages[path]!).matchAll(/\]\(([^)\s]+)\)/g)].flatMap(([, link]) => {
    if (/^[a-z]+:/.test(link!)) return [];
    const [file = "", anchor = null] = link!.split("#");
    return { target: file === "" ? path : normalize(join(dirname(path), file)), anchor };
  });

/** What a page has between backticks, outside of its blocks. */
export const quotesOf = (page: string): string[] =>
  [...proseOf(page).matchAll(/`([^`\n]+)`/g)].map(([, text]) => text!);
