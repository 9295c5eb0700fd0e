import { expect, test } from "bun:test";
import { createSlice } from "../../src/lib/slices.ts";

/** Longer than any slice. */
const pieceMs = 10;
const busy = (untilMs = performance.now() + pieceMs) => {
  while (performance.now() < untilMs);
};

/** Work of so many pieces, each of which uses its slice up. */
async function work(key: string, pieces: number, did: (key: string) => void): Promise<void> {
  const slice = createSlice(key);
  for (let piece = 0; piece < pieces; piece++) {
    busy();
    did(key);
    await slice();
  }
}

test("work that is done in slices lets what arrives meanwhile go first", async () => {
  let [arrived, done] = [0, false];
  const server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response(String(++arrived)) });
  const client = Bun.spawn([process.execPath, "-e", `for (;;) { await fetch("${server.url}"); console.log("."); }`], {
    stdout: "pipe",
    stderr: "ignore",
  });
  const reader = client.stdout.getReader();
  await reader.read();
  const before = arrived;
  const all = Array.from({ length: 5 }, () => work("flood", 20, () => {}));
  void Promise.all(all).then(() => (done = true));
  let between = 0;
  while (!done) {
    await Bun.sleep(1);
    between++;
  }
  client.kill("SIGKILL");
  await client.exited;
  await server.stop(true);
  // 100 pieces, and after each a look at the clock and at the socket: not all five works first.
  expect(between).toBeGreaterThan(50);
  expect(arrived - before).toBeGreaterThan(20);
});

test("the slices of those who have much to do go round, a key at a time, however many works one has", async () => {
  const order: string[] = [];
  const did = (key: string) => void order.push(key);
  await Promise.all([...Array.from({ length: 8 }, () => work("a", 4, did)), work("b", 4, did), work("c", 4, did)]);
  // All begin at once; from then on everybody is asked in turn.
  const later = order.slice(10);
  expect(later.slice(0, 9).join("")).toBe("abcabcabc");
  expect(later.filter((key) => key === "a")).toHaveLength(24);
});

test("a work that is short is never held up", () => {
  const slice = createSlice("short");
  expect(slice()).toBeNull();
});

test("a work that nobody waits for any more ends at its next slice", async () => {
  const stop = new AbortController();
  const slice = createSlice("late", stop.signal);
  let pieces = 0;
  const working = (async () => {
    for (; pieces < 10; pieces++) {
      busy();
      if (pieces === 2) stop.abort(new Error("too late"));
      await slice();
    }
  })();
  await expect(working).rejects.toThrow("too late");
  expect(pieces).toBe(2);
});
