/** Who is measured: how each is started, filled with the same organizations, asked, and stopped. */
import { existsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Db, type Document, ObjectId } from "mongodb";
import { highLimits } from "../dev/lib/high-limits.ts";
import { endingWithParent } from "../dev/lib/process.ts";
import type { Scope } from "../dev/lib/scope.ts";
import { request } from "./load.ts";

const root = join(import.meta.dir, "..");
export const seededCount = 1000;
export const bcryptRounds = 12;
export const jwtSecret = "for-the-benchmark-only-0123456789abcdef";
const password = "Bench-1234";
const seedName = "benchseed";

export interface Contestant {
  name: "croupier" | "limit" | "express";
  title: string;
  command: string[];
  databaseName: string;
  /** Where it keeps organizations and administrators; documents are cloned in these to seed it. */
  collections: string[];
  /** Answers a cheap request with a token; the limit knows no tokens. */
  hasTokens: boolean;
}

export interface Running extends Contestant {
  port: number;
  pid: number;
  accessToken: string;
}

/** The command line of Croupier, from source or as it was compiled. */
export const croupierCommand = (binary: boolean): string[] => [
  ...(binary ? [join(root, "dist/croupier")] : [process.execPath, join(root, "src/main.ts")]),
  "serve",
];

/** Node.js 20 or later, with the packages of a peer; `missing` says why not. */
export async function findPeer(name: string) {
  const node = Bun.which("node");
  const nodeVersion = node ? (await Bun.$`${node} --version`.text()).trim() : undefined;
  if (!node || !nodeVersion || Number(/\d+/.exec(nodeVersion)?.[0]) < 20) {
    return { nodeVersion, missing: "it needs node 20 or later on the PATH" };
  }
  const folder = join(import.meta.dir, "peers", name);
  if (!existsSync(join(folder, "node_modules"))) {
    console.error(`installing bench/peers/${name} (npm ci, once)…`);
    await Bun.$`npm ci --no-audit --no-fund`.cwd(folder).quiet();
  }
  return { nodeVersion, command: [node, join(folder, "server.js")] };
}

/** In the order they are measured. Express is left out, and `missing` says why, where there is no Node.js 20 or later. */
export async function findContestants(options: { binary: boolean }) {
  const contestants: Contestant[] = [
    {
      name: "croupier",
      title: options.binary ? "Croupier (binary)" : "Croupier",
      command: croupierCommand(options.binary),
      databaseName: "croupier_bench",
      collections: ["organizations", "admin_users"],
      hasTokens: true,
    },
    {
      name: "limit",
      title: "limit",
      command: [process.execPath, join(import.meta.dir, "limit.ts")],
      databaseName: "croupier_bench_limit",
      collections: ["organizations", "admin_users"],
      hasTokens: false,
    },
  ];
  const { nodeVersion, command, missing } = await findPeer("express");
  if (!command) return { contestants, nodeVersion, missing: `Express is not measured: ${missing}` };
  contestants.push({
    name: "express",
    title: "Express",
    command,
    databaseName: "croupier_bench_express",
    collections: ["organizations", "admins"],
    hasTokens: true,
  });
  return { contestants, nodeVersion, missing: undefined };
}

export function freePort(): number {
  const listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const { port } = listener;
  listener.stop(true);
  return port;
}

export interface Program {
  title: string;
  command: string[];
  databaseName: string;
  env?: Record<string, string>;
  /** Beside another process on its database, which is left as it is. */
  joins?: boolean;
  /** Answers when it is up; one that has no such path is up when it answers at all. */
  readyPath?: string;
}

/** Starts a program on an empty database; `scope` stops it and drops the database. Throws with where its log is when it is not up within 30 s. */
export async function launch(program: Program, mongodbUrl: string, db: Db, scope: Scope) {
  if (!program.joins) await db.dropDatabase();
  const port = freePort();
  const logFile = join(tmpdir(), `${program.databaseName}.log`);
  const child = Bun.spawn(endingWithParent(program.command), {
    cwd: root,
    env: {
      ...process.env,
      NODE_ENV: "production",
      PORT: String(port),
      MONGODB_URL: mongodbUrl,
      MONGODB_DB_NAME: program.databaseName,
      BCRYPT_ROUNDS: String(bcryptRounds),
      JWT_SECRET_KEY: jwtSecret,
      // All clients are one, from one address.
      ...highLimits(1_000_000_000),
      ...program.env,
    },
    // Croupier logs every request, the others do not: it pays for writing the lines, the disk is spared.
    stdout: "ignore",
    stderr: Bun.file(logFile),
    // Ctrl-C reaches it once, from here.
    detached: true,
  });
  scope.defer(async () => {
    child.kill("SIGTERM");
    const stopped = await Promise.race([child.exited.then(() => true), Bun.sleep(5000).then(() => false)]);
    if (!stopped) child.kill("SIGKILL");
    await child.exited;
    if (!program.joins) await db.dropDatabase();
  });

  const url = `http://127.0.0.1:${port}`;
  for (let tries = 0; ; tries++) {
    // The Express peer has no /readiness, as most tutorials have none; it listens when its database is there.
    const answer = await fetch(url + (program.readyPath ?? "/readiness")).catch(() => undefined);
    if (answer && (answer.ok || answer.status === 404)) break;
    if (child.exitCode !== null || tries === 300) throw new Error(`${program.title} did not start: see ${logFile}`);
    await Bun.sleep(100);
  }
  return { port, pid: child.pid, url };
}

/** Sends JSON and gives the answer; throws when its status isn't the one that is right. */
export async function send(url: string, body: unknown, status: number, headers: Record<string, string> = {}) {
  const answer = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify(body),
  });
  if (answer.status === status) return (await answer.json()) as Record<string, string>;
  throw new Error(`${new URL(url).pathname}: ${answer.status} ${await answer.text()}`);
}

/** Starts it on an empty database, seeds it and signs in. */
export async function start(contestant: Contestant, mongodbUrl: string, db: Db, scope: Scope): Promise<Running> {
  const { port, pid, url } = await launch(contestant, mongodbUrl, db, scope);
  await send(`${url}/org/create`, admission(seedName), 201);
  await cloneSeed(db, contestant.collections);
  const { access_token: accessToken = "" } = await send(`${url}/admin/login`, credentials(seedName), 200);
  return { ...contestant, port, pid, accessToken };
}

export const credentials = (name: string) => ({ email: `admin@${name}.example`, password });
export const admission = (name: string) => ({ organization_name: name, ...credentials(name) });

/**
 * Multiplies the organization that the contestant created itself, so that every document has the shape it stores:
 * only ids, and the name wherever it occurs (email, collection), differ.
 */
async function cloneSeed(db: Db, collections: string[]) {
  const seeds = await Promise.all(collections.map((name) => db.collection(name).find().toArray()));
  const seedIds = seeds.flat().map((seed) => seed._id as ObjectId);
  const copies = Array.from({ length: seededCount }, (_, index) => {
    const ids = new Map(seedIds.map((id) => [id.toHexString(), new ObjectId()]));
    return seeds.map((documents) => documents.map((document) => withOtherIdentity(document, ids, seededName(index))));
  });
  for (const [index, name] of collections.entries()) {
    await db.collection(name).insertMany(copies.flatMap((copy) => (copy[index] ?? []) as Document[]));
  }
}

const seededName = (index: number) => `bench${String(index % seededCount).padStart(4, "0")}`;

function withOtherIdentity(value: unknown, ids: Map<string, ObjectId>, name: string): unknown {
  if (value instanceof ObjectId) return ids.get(value.toHexString()) ?? value;
  if (typeof value === "string") return ids.get(value)?.toHexString() ?? value.replaceAll(seedName, name);
  if (Array.isArray(value)) return value.map((item) => withOtherIdentity(item, ids, name));
  if (value === null || typeof value !== "object" || Object.getPrototypeOf(value) !== Object.prototype) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, withOtherIdentity(item, ids, name)]));
}

export const calls = ["health", "get", "sign-in", "create"] as const;
export type Call = (typeof calls)[number];
let createdCount = 0;

/** So many requests of a kind, each for another organization, and the status that is right. */
export function requestsFor(call: Call, count: number): { requests: string[]; status: number } {
  const indexes = Array.from({ length: count }, (_, index) => index);
  switch (call) {
    case "health":
      return { requests: [request("GET", "/health")], status: 200 };
    case "get":
      return {
        requests: indexes.map((i) => request("GET", `/org/get?organization_name=${seededName(i)}`)),
        status: 200,
      };
    case "sign-in":
      return { requests: indexes.map((i) => request("POST", "/admin/login", credentials(seededName(i)))), status: 200 };
    case "create": {
      const name = () => `benchnew${String(createdCount++)}`;
      return { requests: indexes.map(() => request("POST", "/org/create", admission(name()))), status: 201 };
    }
  }
}

/** An update that asks for nothing: whose token it is has been checked before it is refused, and nothing is written. */
export function tokenRequest(accessToken: string): { requests: string[]; status: number } {
  const headers = { Authorization: `Bearer ${accessToken}` };
  return { requests: [request("PUT", "/org/update", {}, headers)], status: 422 };
}
