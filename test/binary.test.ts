import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MongoClient } from "mongodb";
import manifest from "../package.json" with { type: "json" };
import { freshDatabaseName, newcomer, send } from "./support/service.ts";

const root = join(import.meta.dir, "..");
const folder = mkdtempSync(join(tmpdir(), "croupier-binary-"));
const program = join(folder, "croupier");
const databaseName = freshDatabaseName();
const settings = {
  MONGODB_URL: process.env.MONGODB_URL!,
  MONGODB_DB_NAME: databaseName,
  JWT_SECRET_KEY: "a-secret-of-the-tests-and-of-nothing-else",
  BCRYPT_ROUNDS: "4",
  PORT: "0",
};

const run = (command: string[], env: Record<string, string> = {}) =>
  Bun.spawn([program, ...command], { cwd: folder, env, stdout: "pipe", stderr: "pipe" });

/** Reads the log, to its end as a service's log is, and says where the service listens as soon as it is ready. */
function untilReady(output: ReadableStream<Uint8Array>): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  void (async () => {
    let log = "";
    const decoder = new TextDecoder();
    for await (const chunk of output) {
      log += decoder.decode(chunk, { stream: true });
      const url = /"url":"([^"]+?)\/?"/.exec(log)?.[1];
      if (url && log.includes('"msg":"ready"')) resolve(url);
    }
    reject(new Error(`ended before it was ready: ${log}`));
  })();
  return promise;
}

beforeAll(async () => {
  // The project's own build command, with another place for the result.
  const build = manifest.scripts.build.replace("dist/croupier", program).split(" ").slice(1);
  const { exited } = Bun.spawn([process.execPath, ...build], { cwd: root, stdout: "ignore", stderr: "inherit" });
  expect(await exited).toBe(0);
}, 60_000);

afterAll(async () => {
  const client = await new MongoClient(settings.MONGODB_URL).connect();
  await client.db(databaseName).dropDatabase();
  await client.close();
  rmSync(folder, { recursive: true });
});

describe("the compiled program", () => {
  test("serves all endpoints, says that it is healthy, and ends with 0 on SIGTERM", async () => {
    const service = run(["serve"], settings);
    const url = await untilReady(service.stdout);
    const who = newcomer();
    expect((await send(url, "POST", "/org/create", { body: who })).status).toBe(201);
    const signedIn = await send(url, "POST", "/admin/login", { body: { email: who.email, password: who.password } });
    expect(signedIn.status).toBe(200);
    expect((await send(url, "GET", `/org/get?organization_name=${who.organization_name}`)).status).toBe(200);
    const token = signedIn.body.access_token;
    // One that threads read and print.
    const large = { _id: "large", text: "x".repeat(1_000_000) };
    expect((await send(url, "POST", "/org/documents", { token, body: large })).status).toBe(201);
    expect((await send(url, "GET", "/org/documents/large", { token })).body).toEqual(large);
    expect((await send(url, "DELETE", "/org/delete", { token })).status).toBe(204);
    expect((await send(url, "GET", "/docs")).text).toContain("swagger-ui-bundle.js");
    const bundle = await send(url, "GET", "/docs/swagger-ui-dist/swagger-ui-bundle.js");
    expect(bundle.text.length).toBeGreaterThan(1_000_000);
    expect((await send(url, "GET", "/openapi.json")).body.openapi).toBe("3.1.0");

    const health = run(["health", "--url", url]);
    expect(await health.exited).toBe(0);
    service.kill("SIGTERM");
    expect(await service.exited).toBe(0);
    expect(await run(["health", "--url", url]).exited).toBe(1);
  }, 60_000);

  test("finishes a request that runs when SIGTERM comes", async () => {
    const service = run(["serve"], { ...settings, BCRYPT_ROUNDS: "11" });
    const url = await untilReady(service.stdout);
    const who = newcomer();
    const creating = send(url, "POST", "/org/create", { body: who });
    // The service knows of the request as soon as a later one is answered.
    await send(url, "GET", "/");
    service.kill("SIGTERM");
    expect((await creating).status).toBe(201);
    expect(await service.exited).toBe(0);
  }, 60_000);

  test("prints its version and its help, and refuses an unknown command", async () => {
    const version = run(["--version"]);
    expect((await new Response(version.stdout).text()).trim()).toBe(manifest.version);
    const help = run(["--help"]);
    expect(await new Response(help.stdout).text()).toContain("serve");
    expect(await run(["deal"]).exited).toBe(1);
  });

  test("doesn't start without a secret, and says which setting is missing", async () => {
    const { JWT_SECRET_KEY: _, ...rest } = settings;
    const service = run(["serve"], rest);
    expect(await service.exited).toBe(1);
    expect(await new Response(service.stderr).text()).toContain("JWT_SECRET_KEY is missing");
  });
});
