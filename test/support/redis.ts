import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RedisClient, type Subprocess } from "bun";
import { freePort } from "../../dev/lib/net.ts";
import { endingWithParent } from "../../dev/lib/process.ts";
import { until } from "./crash.ts";

const program = Bun.which("redis-server");
/** Whether a Redis can be started and killed; with REDIS_URL alone there is one to be used only. */
export const canStartRedis = program !== null;
export const hasRedis = canStartRedis || Boolean(process.env.REDIS_URL);
if (!hasRedis) console.warn("Redis is not tested: there is neither a redis-server on the PATH nor REDIS_URL");
else if (!canStartRedis) console.warn("A Redis that dies is not tested: there is no redis-server on the PATH");

export type TestRedis = {
  readonly url: string;
  signal(signal: "SIGSTOP" | "SIGCONT"): void;
  /** With -9: it forgets everything. */
  kill(): Promise<void>;
  start(): Promise<void>;
  /** Sends a command over a connection of its own. */
  ask(command: string, ...args: string[]): Promise<any>;
  end(): Promise<void>;
};

/** A Redis of its own, or the one that REDIS_URL names. */
export async function startRedis(): Promise<TestRedis> {
  const folder = mkdtempSync(join(tmpdir(), "croupier-redis-"));
  const port = await freePort();
  const url = program ? `redis://127.0.0.1:${port}` : process.env.REDIS_URL!;
  let server: Subprocess | null = null;

  const ask = async (command: string, ...args: string[]) => {
    const client = new RedisClient(url, { autoReconnect: false });
    try {
      await client.connect();
      return await client.send(command, args);
    } finally {
      client.close();
    }
  };
  const kill = async () => {
    server?.kill("SIGKILL");
    await server?.exited;
    server = null;
  };
  const redis: TestRedis = {
    url,
    ask,
    kill,
    signal: (signal) => server?.kill(signal),
    async start() {
      if (!program) return;
      const command = [program, "--port", String(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder];
      server = Bun.spawn(endingWithParent(command), { stdin: "ignore", stdout: "ignore", stderr: "inherit" });
      await until("Redis", () => ask("PING").catch(() => null));
    },
    async end() {
      await kill();
      rmSync(folder, { recursive: true, force: true });
    },
  };
  await redis.start();
  return redis;
}
