import { join } from "node:path";
import { Glob } from "bun";
import { Db } from "mongodb";

const src = join(import.meta.dir, "../../../src");
const methods = [
  "find",
  "findOne",
  "findOneAndUpdate",
  "updateOne",
  "updateMany",
  "deleteOne",
  "deleteMany",
  "aggregate",
  "distinct",
  "countDocuments",
  "bulkWrite",
] as const;

/** Where a statement on one of the service's own collections stands in the code: lines from 1. */
export type CallSite = { file: string; from: number; to: number; text: string };

/** Found by reading the code, so that nobody has to keep a list of them. */
export async function findCallSites(): Promise<CallSite[]> {
  const files = await Promise.all(
    [...new Glob("**/*.ts").scanSync(src)].map(async (file) => ({
      file,
      text: await Bun.file(join(src, file)).text(),
    })),
  );
  const openers = files.flatMap(({ text }) =>
    [...text.matchAll(/const (\w+) = \(db: Db\): Collection</g)].map(([, name]) => name!),
  );
  const call = new RegExp(`\\b(?:${openers.join("|")})\\(db\\)\\s*\\.(?:${methods.join("|")})\\b`, "g");
  return files.flatMap(({ file, text }) =>
    [...text.matchAll(call)].map((match): CallSite => {
      const lineAt = (index: number) => text.slice(0, index).split("\n").length;
      return { file, from: lineAt(match.index), to: lineAt(match.index + match[0].length), text: match[0] };
    }),
  );
}

/**
 * Notes from which lines of the code collections are opened; nothing about them changes. The call that follows is the last
 * thing that many functions do, and then these are no longer to be seen on the stack.
 */
export function noteCalls(): { isCalled(site: CallSite): boolean; stop(): void } {
  const called = new Set<string>();
  const original = Db.prototype.collection;
  Db.prototype.collection = function (this: Db, ...all: Parameters<Db["collection"]>) {
    for (const [, file, line] of (new Error().stack ?? "").matchAll(/\/src\/(\S+?):(\d+):\d+/g)) {
      called.add(`${file}:${line}`);
    }
    return original.apply(this, all);
  } as Db["collection"];
  return {
    isCalled: ({ file, from, to }) =>
      // A call over several lines is said to be at one of them, or where its statement begins.
      Array.from({ length: to - from + 2 }, (_, index) => `${file}:${from - 1 + index}`).some((line) =>
        called.has(line),
      ),
    stop() {
      Db.prototype.collection = original;
    },
  };
}
