import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** One rule of the protocol taken out of the source text, and where its absence shows. */
export type Mutation = {
  name: string;
  breaks: string;
  /** Each `find` must be there exactly once. */
  edits: { file: string; find: string; replace: string }[];
  /** Fault and direction, those that show it soonest first. */
  shownBy: [fault: string, direction: string][];
};

export const mutations: Mutation[] = [];

const root = fileURLToPath(new URL("../../..", import.meta.url));

/** What no longer fits the source: each is one line. Empty when the mutation can be planted. */
export function staleEdits({ name, edits }: Mutation): string[] {
  return edits.flatMap(({ file, find }) => {
    const count = readFileSync(join(root, file), "utf8").split(find).length - 1;
    return count === 1 ? [] : [`${name}: found ${count} times in ${file}: ${find}`];
  });
}

export type Mutant = { program: string; remove(): void };

/** A copy of the code with the bug in it: the code that is shipped has no switch for it. @throws Error when it is stale */
export function plant(mutation: Mutation): Mutant {
  const stale = staleEdits(mutation);
  if (stale.length > 0) throw new Error(stale.join("\n"));
  const folder = mkdtempSync(join(tmpdir(), "croupier-mutant-"));
  for (const part of ["src", "test/support", "package.json", "tsconfig.json"]) {
    cpSync(join(root, part), join(folder, part), { recursive: true });
  }
  symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
  for (const { file, find, replace } of mutation.edits) {
    const text = readFileSync(join(folder, file), "utf8");
    writeFileSync(
      join(folder, file),
      text.replace(find, () => replace),
    );
  }
  return {
    program: join(folder, "test/support/crash-child.ts"),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}
