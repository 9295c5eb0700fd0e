import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { type CommandStartedEvent, MongoClient, ObjectId } from "mongodb";
import { createDeps } from "../../src/boot.ts";
import { createLogger } from "../../src/log.ts";
import { findStanding, organizations } from "../../src/organization/store.ts";
import { dropAll, testConfig } from "../support/service.ts";

setDefaultTimeout(60_000);
const isReplicaSet = process.env.MONGODB_URL?.includes("replicaSet=") ?? false;
const config = testConfig();
const client = new MongoClient(config.mongodbUrl, { monitorCommands: true, writeConcern: { w: "majority" } });
const db = client.db(config.databaseName);
let deps: Awaited<ReturnType<typeof createDeps>>;
const active = { _id: new ObjectId(), status: "active", placement: { epoch: 7 }, organization_name: "active" };
const suspended = { ...active, _id: new ObjectId(), status: "suspended", organization_name: "suspended" };

beforeAll(async () => {
  deps = await createDeps(config, client, createLogger("silent"), undefined, client);
  await client.connect();
  await organizations(db).insertMany([active, suspended] as never[]);
});
afterAll(async () => {
  await dropAll(db);
  await deps.close();
});

/** How a lease is asked for that isn't held. */
async function askedBy(): Promise<unknown> {
  const sent: unknown[] = [];
  const note = ({ command }: CommandStartedEvent) => command.find === "organizations" && sent.push(command.readConcern);
  client.on("commandStarted", note);
  // Not every engine takes what is asked for here.
  await deps.leases.renew(active._id).catch(() => null);
  client.off("commandStarted", note);
  return sent[0];
}

describe("a placement is leased by what", () => {
  test("the majority has, where elections are seen", async () => {
    expect(await askedBy()).toEqual({ level: "majority" });
  });

  test.each(["Mongos", "LoadBalancer"] as const)(
    "a server says that has shown itself to be the primary, where a %s hides elections",
    async (type) => {
      const servers = new Map([["router:27017", { address: "router:27017", type }]]);
      client.emit("topologyDescriptionChanged", { newDescription: { servers } } as never);
      expect(await askedBy()).toEqual({ level: "linearizable" });
    },
  );

  test.skipIf(!isReplicaSet)("which is the same where there is no election", async () => {
    for (const level of ["majority", "linearizable"] as const) {
      expect(await findStanding(db, active._id, level)).toMatchObject({ placement: { epoch: 7 } });
      expect(await findStanding(db, suspended._id, level)).toBeNull();
      expect(await findStanding(db, new ObjectId(), level)).toBeNull();
    }
  });
});
