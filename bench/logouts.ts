/** How long it takes until what one process has ended is refused by another. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { endingWithParent } from "../dev/lib/process.ts";
import type { Scope } from "../dev/lib/scope.ts";
import { credentials, freePort, send } from "./contestants.ts";
import { percentileOf } from "./writers.ts";

/** Debian's or any other `redis-server` of the PATH, with nothing in it; null when there is none. */
export async function startRedis(scope: Scope): Promise<string | null> {
  const program = Bun.which("redis-server");
  if (!program) return null;
  const folder = mkdtempSync(join(tmpdir(), "croupier-bench-redis-"));
  const port = freePort();
  const command = [program, "--port", String(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder];
  const server = Bun.spawn(endingWithParent(command), { stdin: "ignore", stdout: "ignore", stderr: "inherit" });
  scope.defer(async () => {
    server.kill();
    await server.exited;
    rmSync(folder, { recursive: true, force: true });
  });
  return `redis://127.0.0.1:${port}`;
}

export type LogoutSample = { p50Ms: number; p99Ms: number; maxMs: number; answerP50Ms: number; count: number };

/** @param at two processes on one database. Times count from when the logout is sent. */
export async function measureLogouts(at: [string, string], name: string, count: number): Promise<LogoutSample> {
  const [refusedMs, answeredMs]: [number[], number[]] = [[], []];
  for (let n = 0; n < count; n++) {
    const { access_token: token = "" } = await send(`${at[0]}/admin/login`, credentials(name), 200);
    const headers = { Authorization: `Bearer ${token}` };
    const ask = async () => {
      const answer = await fetch(`${at[1]}/org/documents?limit=1`, { headers });
      await answer.arrayBuffer();
      return answer.status;
    };
    const before = await ask();
    if (before !== 200) throw new Error(`a token that was not ended: ${before}`);
    // At whatever moment of the other's round.
    await Bun.sleep(Math.random() * 300);
    const startedMs = performance.now();
    const ended = await fetch(`${at[0]}/admin/logout`, { method: "POST", headers });
    if (ended.status !== 204) throw new Error(`/admin/logout: ${ended.status} ${await ended.text()}`);
    answeredMs.push(performance.now() - startedMs);
    while ((await ask()) !== 401) await Bun.sleep(1);
    refusedMs.push(performance.now() - startedMs);
  }
  const p = (times: number[], share: number) =>
    percentileOf(
      times.map((ms) => ({ ms })),
      share,
    );
  return {
    p50Ms: p(refusedMs, 0.5),
    p99Ms: p(refusedMs, 0.99),
    maxMs: Math.max(...refusedMs),
    answerP50Ms: p(answeredMs, 0.5),
    count,
  };
}
