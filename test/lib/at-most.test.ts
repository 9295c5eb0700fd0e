import { expect, test } from "bun:test";
import { join } from "node:path";
import { atMost } from "../../src/lib/at-most.ts";

const never = () => new Promise(() => {});

test("nobody waits for longer than that, and an error that comes in time is thrown", async () => {
  await atMost(20, never());
  await expect(atMost(60_000, Promise.reject(new Error("came")))).rejects.toThrow("came");
});

test("a process ends when what it waited for has come", async () => {
  const helper = join(import.meta.dir, "../../src/lib/at-most.ts");
  const program = `import { atMost } from ${JSON.stringify(helper)}; await atMost(10 * 60_000, Promise.resolve());`;
  const child = Bun.spawn([process.execPath, "-e", program]);
  const ended = await Promise.race([child.exited, Bun.sleep(30_000)]);
  child.kill();
  expect(ended).toBe(0);
});
