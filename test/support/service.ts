import { afterAll, beforeAll } from "bun:test";
import { randomBytes } from "node:crypto";
import type { Db } from "mongodb";
import { highLimits as noLimits } from "../../dev/lib/high-limits.ts";
import { createClient } from "../../src/lib/mongo/client.ts";
import { type RunningService, startService } from "../../src/serve.ts";
import { type Config, readConfig } from "../../src/config.ts";
import { createLogger } from "../../src/log.ts";
import { ownerOfDatabase } from "../../src/tenant/placement.ts";

export const freshDatabaseName = () => `croupier_test_${randomBytes(6).toString("hex")}`;

/** `test/http/limits.test.ts` has limits of its own. */
const highLimits = { RATE_LIMIT_STORE: "memory", ...noLimits(1_000_000) };

/** The configuration of the tests: the database that `bun run test` found, and cheap hashes. */
export function testConfig(overrides: Record<string, string> = {}): Config {
  return readConfig({
    MONGODB_URL: process.env.MONGODB_URL,
    MONGODB_DB_NAME: freshDatabaseName(),
    PORT: "0",
    JWT_SECRET_KEY: "a-secret-of-the-tests-and-of-nothing-else",
    BCRYPT_ROUNDS: "4",
    // Deletes and renames wait for one lease.
    PLACEMENT_LEASE_MS: "100",
    // As many as elsewhere; its own test has the default.
    STARTER_INDEXES: "10",
    LOG_LEVEL: "silent",
    ...highLimits,
    ...overrides,
  });
}

export type Answer = { status: number; headers: Headers; body: any; text: string };

/** Sends a request as a client does; `body` goes as JSON unless it is text or bytes. */
export async function send(
  url: string,
  method: string,
  path: string,
  options: { body?: unknown; token?: string; headers?: Record<string, string> } = {},
): Promise<Answer> {
  const { body, token, headers } = options;
  const raw = typeof body === "string" || body instanceof Uint8Array || body === undefined;
  const answer = await fetch(url + path, {
    method,
    headers: {
      ...(body !== undefined && { "content-type": "application/json" }),
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...headers,
    },
    ...(body !== undefined && { body: raw ? (body as string) : JSON.stringify(body) }),
  });
  return readAnswer(answer);
}

export async function readAnswer(answer: Response): Promise<Answer> {
  const text = await answer.text();
  const json = answer.headers.get("content-type")?.includes("json") && text !== "";
  return { status: answer.status, headers: answer.headers, body: json ? JSON.parse(text) : null, text };
}

/** The body of an answer. @throws Error when the request was refused */
export async function accepted(asked: Promise<Answer>): Promise<any> {
  const { status, body, text } = await asked;
  if (status >= 300) throw new Error(`${status} ${text}`);
  return body;
}

export const goodPassword = "Correct-Horse-7";
let count = 0;
/** A name and an email that no other test of the file uses. */
export const newcomer = (hint = "org") => {
  const name = `${hint}-${process.pid}-${++count}`;
  return { organization_name: name, email: `${name}@example.com`, password: goodPassword };
};

export type Service = {
  readonly url: string;
  readonly db: Db;
  readonly running: RunningService;
  send(method: string, path: string, options?: Parameters<typeof send>[3]): Promise<Answer>;
  /** Makes an organization and signs its admin in. */
  join(
    hint?: string,
  ): Promise<{ id: string; token: string; organization_name: string; email: string; password: string }>;
};

/** Drops a database, and those that enterprise organizations have beside it. */
export async function dropAll(db: Db): Promise<void> {
  const { databases } = await db.admin().listDatabases({ nameOnly: true });
  for (const { name } of databases) {
    if (ownerOfDatabase(db.databaseName, name)) await db.client.db(name).dropDatabase();
  }
  await db.dropDatabase();
}

/** Stops a service and then drops its database, as it writes what it still had to write when it stops. */
export async function stopAndDrop({ deps, stop }: RunningService): Promise<void> {
  const { databaseName } = deps.db;
  await stop();
  const client = createClient(process.env.MONGODB_URL!);
  await dropAll(client.db(databaseName));
  await client.close();
}

/** One service for a test file, in this process, on a database of its own that goes with it. */
export function useService(overrides: Record<string, string> = {}): Service {
  let running: RunningService;
  beforeAll(async () => {
    running = await startService(testConfig(overrides), createLogger("silent"));
    await running.ready;
  }, 60_000);
  afterAll(async () => {
    await stopAndDrop(running);
  }, 60_000);
  const service: Service = {
    get url() {
      return running.url;
    },
    get db() {
      return running.deps.db;
    },
    get running() {
      return running;
    },
    send: (method, path, options) => send(running.url, method, path, options),
    async join(hint) {
      const who = newcomer(hint);
      const { body } = await service.send("POST", "/org/create", { body: who });
      const signedIn = await service.send("POST", "/admin/login", {
        body: { email: who.email, password: who.password },
      });
      if (signedIn.status !== 200) throw new Error(`not signed in: ${signedIn.text}`);
      return { ...who, id: body.id, token: signedIn.body.access_token };
    },
  };
  return service;
}
