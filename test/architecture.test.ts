import { describe, expect, test } from "bun:test";
import { dirname, join, normalize } from "node:path";
import { Glob } from "bun";

const src = join(import.meta.dir, "../src");

/** Each folder, and those before it that it may import from; "" is the files at the top of `src`, which come next to last. */
const layers: Record<string, string[]> = {
  lib: [],
  tenant: ["lib"],
  quota: ["lib", "tenant"],
  operation: ["lib"],
  process: ["lib"],
  admin: ["lib"],
  audit: ["lib"],
  operator: ["lib", "audit"],
  organization: ["lib", "tenant", "quota", "operation", "admin", "audit"],
  session: ["lib", "admin", "organization", "audit"],
  document: ["lib", "tenant", "quota", "operation"],
  flows: ["lib", "tenant", "quota", "operation", "admin", "organization", "session", "document"],
  takeover: ["lib", "tenant", "admin", "organization"],
  fleet: ["lib", "tenant", "operation", "organization", "flows", "takeover"],
  http: ["lib", "tenant", "operation", "admin", "organization", "session", "operator", "document", "audit"],
  cli: ["lib", "audit", "operator", "organization", "session", "takeover", "fleet", ""],
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

/** Exported functions of tenant/ that could hand a collection out: by what they say to return, or by saying nothing. */
async function leaks(file: string, text: string): Promise<string[]> {
  const wrong: string[] = [];
  for (const [, name] of text.matchAll(/^export (?:async )?(?:function|const) (\w+)/gm)) {
    const { [name!]: exported } = await import(join(src, file));
    if (typeof exported !== "function" || name === "collectionAt") continue;
    const declared = text.slice(text.search(new RegExp(`^export (?:async )?(?:function|const) ${name}\\b`, "m")));
    const head = declared.slice(0, declared.search(/=>|\{\n/));
    // The result stands after the last parenthesis of the head; a cursor would be as good as a collection.
    const result = /\)\s*:\s*([^]*)$/.exec(head)?.[1] ?? "";
    if (/\b(Collection|FindCursor|AggregationCursor)\b/.test(result)) wrong.push(`${file} hands ${name} out`);
  }
  const scope = /export type TenantScope = \{[^]*?\n\};/.exec(text)?.[0] ?? "";
  if (/\b(Collection|Cursor|Db)\b/.test(scope.replace(/\/\*\*[^]*?\*\//g, "")))
    wrong.push(`${file}: TenantScope holds a handle`);
  return wrong;
}

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

  test("a folder may import from no folder that it imports nothing from", () => {
    const used = imports
      .filter(({ to, typeOnly }) => files.includes(to) && !typeOnly)
      .map(({ from, to }) => `${folderOf(from)} from ${folderOf(to)}`);
    const allowed = Object.entries(layers).flatMap(([folder, from]) => from.map((each) => `${folder} from ${each}`));
    expect(allowed.filter((each) => !used.includes(each))).toEqual([]);
  });

  test("no folder has more than 15 files", () => {
    const folders = Map.groupBy(files, (file) => dirname(file));
    expect([...folders].filter(([, own]) => own.length > 15).map(([folder]) => folder)).toEqual([]);
  });

  test("no file has more than 310 lines", async () => {
    const lengths = await Promise.all(
      files.map(async (file) => ({
        file,
        lines: (await Bun.file(join(src, file)).text()).trimEnd().split("\n").length,
      })),
    );
    expect(lengths.filter(({ lines }) => lines > 310)).toEqual([]);
  });

  test("only the edge knows Hono, but for its JWT functions", () => {
    const wrong = imports.filter(
      ({ from, to }) => /^(hono|@hono)(\/|$)/.test(to) && folderOf(from) !== "http" && from !== "app.ts",
    );
    expect(wrong).toEqual([{ from: "session/token/token.ts", to: "hono/jwt", typeOnly: false }]);
  });

  test("no handle of a tenant's collection leaves src/tenant/", async () => {
    // Those that name a collection of their own, by a text that is no tenant's.
    const stores = [
      "organization/store.ts",
      "admin/store.ts",
      "admin/founding-store.ts",
      "operation/store.ts",
      "operator/store.ts",
      "process/store.ts",
      "quota/store.ts",
      "document/idempotency.ts",
      "session/revocation/revocation-store.ts",
      "session/session-store.ts",
      "lib/limit/counters.ts",
      "lib/mongo/turn-of-all.ts",
      "audit/store.ts",
    ];
    const wrong: string[] = [];
    for (const file of files) {
      const text = await Bun.file(join(src, file)).text();
      const inTenant = folderOf(file) === "tenant";
      if (!inTenant && /\bcollectionAt\b/.test(text)) wrong.push(`${file} names collectionAt`);
      const all = [...text.matchAll(/\.collection\s*(?:<[^(]*>)?\(([^)]*)/g)].map(([, named]) => named!);
      const ownNames = all.every((named) => /^"[a-z_]+"$/.test(named));
      if (all.length > 0 && !inTenant && !([...stores, "lib/mongo/primary.ts"].includes(file) && ownNames)) {
        wrong.push(`${file} opens a collection`);
      }
      // `boot.ts` opens the service's own database, of which `tenant/deployments.ts` alone opens those beside it.
      const opens = file === "boot.ts" || file === "tenant/deployments.ts" || file.startsWith("lib/mongo/");
      if (!opens && /\bclient\b[^;]*\.db\((?!"admin"\))/.test(text)) wrong.push(`${file} opens another database`);
      if (!inTenant && /\bdatabaseAt\b/.test(text)) wrong.push(`${file} names databaseAt`);
      // A deployment's own database is in everybody's hands, to be connected, watched and asked whether it answers.
      if (!inTenant && /\bhome\s*(\.(?!client\b)|:|\[)/.test(text)) wrong.push(`${file} asks a deployment's database`);
      if (inTenant) wrong.push(...(await leaks(file, text)));
    }
    expect(wrong).toEqual([]);
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
