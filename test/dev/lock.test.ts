import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { tryLock } from "../../dev/lib/lock.ts";
import { createScope } from "../../dev/lib/scope.ts";

const folder = mkdtempSync(join(tmpdir(), "croupier-lock-"));
afterAll(() => rmSync(folder, { recursive: true }));

test("a lock is held by one process at a time and free at once when that process is killed", async () => {
  const file = join(folder, "lock");
  const module = (name: string) => JSON.stringify(resolve(import.meta.dir, "../../dev/lib", name));
  const holder = `
    import { tryLock } from ${module("lock.ts")};
    import { createScope } from ${module("scope.ts")};
    const scope = createScope();
    console.log(tryLock(${JSON.stringify(file)}, scope));
    setInterval(() => scope.isClosed(), 1000);`;
  const child = Bun.spawn([process.execPath, "-e", holder], { stdout: "pipe" });
  const { value } = await child.stdout.getReader().read();
  expect(new TextDecoder().decode(value)).toBe("true\n");

  const scope = createScope();
  expect(tryLock(file, scope)).toBe(false);
  child.kill("SIGKILL");
  await child.exited;
  expect(tryLock(file, scope)).toBe(true);
  await scope.close();
});
