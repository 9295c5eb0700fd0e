import { describe, expect, test } from "bun:test";
import { dirname, join, normalize } from "node:path";
import { Glob } from "bun";

const src = join(import.meta.dir, "../src");

/** Each folder, and those before it that it may import from; the files at the top of `src` come last. */
const layers: Record<string, string[]> = {
  lib: [],
  tenant: ["lib"],
  operation: ["lib"],
  admin: ["lib"],
  organization: ["lib", "tenant", "operation", "admin"],
  session: ["lib", "admin", "organization"],
  flows: ["lib", "tenant", "operation", "admin", "organization"],
  takeover: ["lib", "tenant", "admin", "organization"],
  document: ["lib", "tenant", "operation"],
  fleet: ["lib", "tenant", "operation", "admin", "organization", "flows", "takeover"],
  http: ["lib", "tenant", "operation", "admin", "organization", "session", "flows", "document"],
};

type Import = { from: string; to: string; typeOnly: boolean };

const imports: Import[] = [];
const files = [...new Glob("**/*.ts").scanSync(src)].filter((file) => !file.endsWith(".d.ts"));
for (const file of files) {
  const text = await Bun.file(join(src, file)).text();
  for (const [, typeOnly, to] of text.matchAll(/^import\s+(type\s)?[^"]*?"([^"]+)"/gms)) {
    const resolved = to!.startsWith(".") ? normalize(join(dirname(file), to!)) : to!;
    imports.push({ from: file, to: resolved, typeOnly: typeOnly !== undefined });
  }
}
const folderOf = (file: string) => (file.includes("/") ? file.split("/")[0]! : "");

describe("the structure of the code", () => {
  test("every folder is in the list of layers", () => {
    expect(new Set(files.map(folderOf).filter(Boolean))).toEqual(new Set(Object.keys(layers)));
  });

  test("a folder imports only from those it may; types from anywhere", () => {
    const wrong = imports.filter(({ from, to, typeOnly }) => {
      const [a, b] = [folderOf(from), folderOf(to)];
      const own = files.includes(to);
      return own && !typeOnly && a !== "" && a !== b && !layers[a]!.includes(b);
    });
    expect(wrong).toEqual([]);
  });

  test("only the edge knows Hono, but for its JWT functions", () => {
    const wrong = imports.filter(
      ({ from, to }) => /^(hono|@hono)(\/|$)/.test(to) && folderOf(from) !== "http" && from !== "app.ts",
    );
    expect(wrong).toEqual([{ from: "session/token.ts", to: "hono/jwt", typeOnly: false }]);
  });

  test("only config.ts and main.ts read the environment, and nothing is a class", async () => {
    const wrong: string[] = [];
    for (const file of files) {
      const text = await Bun.file(join(src, file)).text();
      if (/process\.env|Bun\.env/.test(text) && file !== "main.ts") wrong.push(`${file} reads the environment`);
      if (/^\s*(export\s+)?(abstract\s+)?class\s/m.test(text)) wrong.push(`${file} has a class`);
    }
    expect(wrong).toEqual([]);
  });
});
