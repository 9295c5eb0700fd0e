import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Subprocess } from "bun";
import { createClient } from "../../src/lib/mongo/client.ts";
import { until } from "../support/crash.ts";
import { freshDatabaseName, newcomer, send } from "../support/service.ts";
import { makeToken, readClaims } from "../support/token.ts";

const folder = mkdtempSync(join(tmpdir(), "croupier-reload-"));
const databaseName = freshDatabaseName();
let child: Subprocess<"ignore", "pipe", "inherit"> | null = null;
afterAll(async () => {
  child?.kill("SIGKILL");
  await child?.exited;
  const client = createClient(process.env.MONGODB_URL!);
  await client.db(databaseName).dropDatabase();
  await client.close();
  rmSync(folder, { recursive: true, force: true });
}, 30_000);

test("SIGHUP makes a service read its keys again, and it goes on", async () => {
  const file = join(folder, "secrets");
  const [first, second] = ["first", "second"].map((name) => `${name}-secret-of-the-tests-and-of-nothing-else`) as [
    string,
    string,
  ];
  const program = fileURLToPath(new URL("../../src/main.ts", import.meta.url));
  writeFileSync(file, first);
  const started = Bun.spawn([process.execPath, program, "serve"], {
    env: {
      ...process.env,
      MONGODB_DB_NAME: databaseName,
      PORT: "0",
      BCRYPT_ROUNDS: "4",
      JWT_SECRET_KEY: "",
      JWT_SECRET_KEY_FILE: file,
      LOG_LEVEL: "info",
    },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "inherit",
  });
  child = started;
  let log = "";
  void (async () => {
    for await (const chunk of started.stdout.pipeThrough(new TextDecoderStream())) log += chunk;
  })();
  const url = await until("the service to listen", async () => /"url":"(http:[^"]+?)\/?"/.exec(log)?.[1] ?? null);
  const ready = async () => (await send(url, "GET", "/readiness")).status === 200;
  await until("the service to be ready", ready);
  const reloaded = async (secrets: string) => {
    const said = (log.match(/signing keys (could not be )?reloaded/g) ?? []).length;
    writeFileSync(file, secrets);
    started.kill("SIGHUP");
    await until("the keys", async () => (log.match(/signing keys (could not be )?reloaded/g) ?? []).length > said);
  };
  const who = newcomer("reload");
  await send(url, "POST", "/org/create", { body: who });
  const signIn = async () =>
    (await send(url, "POST", "/admin/login", { body: { email: who.email, password: who.password } })).body.access_token;
  const asks = async (token: string) => (await send(url, "GET", "/org/documents", { token })).status;

  const old = await signIn();
  expect(await asks(old)).toBe(200);
  await reloaded(`${second}\n${first}`);
  const next = await signIn();
  expect([await asks(old), await asks(next)]).toEqual([200, 200]);
  await reloaded("too short");
  expect([await asks(old), await asks(next)]).toEqual([200, 200]);
  await reloaded(second);
  expect([await asks(old), await asks(next)]).toEqual([401, 200]);
  expect(await asks(makeToken(readClaims(next), first, { alg: "HS256" }))).toBe(401);
  expect(log).not.toContain(first);
  expect(log).not.toContain(second);
  started.kill("SIGTERM");
  expect(await started.exited).toBe(0);
}, 60_000);
