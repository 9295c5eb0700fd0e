import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { MongoServerError, type MongoClient } from "mongodb";
import { answers, freePort, withClient } from "../lib/net.ts";
import { endingWithParent, startServer, waitUntil } from "../lib/process.ts";
import type { Scope } from "../lib/scope.ts";

const setName = "rs0";

/** Starts a `mongod` on the folder as a replica set of one node (transactions and change streams need a set). */
export async function startReplicaSet(
  binary: string,
  folder: string,
  scope: Scope,
  wantedPort: number | undefined,
): Promise<string> {
  const port = wantedPort ?? (await freePort());
  const data = join(folder, "mongod");
  mkdirSync(data, { recursive: true });
  const options = ["--dbpath", data, "--port", `${port}`, "--bind_ip", "127.0.0.1", "--replSet", setName];
  const server = startServer("mongod", endingWithParent([binary, ...options]), folder, scope);

  const host = `127.0.0.1:${port}`;
  const direct = `mongodb://${host}/?directConnection=true`;
  await waitUntil(() => answers(direct, 1_000), server);
  await withClient(direct, 5_000, async (client) => {
    await configure(client, host);
    await waitUntil(async () => (await client.db("admin").command({ hello: 1 })).isWritablePrimary === true, server);
  });
  return `mongodb://${host}/?replicaSet=${setName}`;
}

/** Makes the node the only member under its present address: data that was kept remembers the last run's port. */
async function configure(client: MongoClient, host: string): Promise<void> {
  const admin = client.db("admin");
  try {
    const { config } = await admin.command({ replSetGetConfig: 1 });
    if (config.members.length === 1 && config.members[0].host === host) return;
    const members = [{ ...config.members[0], host }];
    await admin.command({ replSetReconfig: { ...config, version: config.version + 1, members }, force: true });
  } catch (error) {
    if (!(error instanceof MongoServerError) || error.codeName !== "NotYetInitialized") throw error;
    await admin.command({ replSetInitiate: { _id: setName, members: [{ _id: 0, host }] } });
  }
}
