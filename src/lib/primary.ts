import type { Db, MongoClient, TopologyDescription } from "mongodb";
import { within } from "./mongo.ts";

/** The server that decides, as this client sees it: its address, and its election where there are elections. */
function deciderOf({ type: topology, servers }: TopologyDescription): string | null {
  for (const { address, type, electionId } of servers.values()) {
    if (type === "RSPrimary") return `${address}/${electionId?.toHexString() ?? ""}`;
    if (type === "Standalone" || type === "Mongos" || type === "LoadBalancer") return address;
    // Named directly it is asked all the same, and may miss by now what the new primary has.
    if (topology === "Single" && type.startsWith("RS")) return `${address}/none`;
  }
  return null;
}

/**
 * Counts the changes of the primary. The driver knows the new one before it sends anything there, so what was learned from
 * the one before can be told from what is learned now. And a new primary may for a moment show the majority an older state
 * than was acknowledged: a write of our own, acknowledged by the majority, ends that.
 */
export function watchPrimary(client: MongoClient, db: Db) {
  let generation = 0;
  let decider: string | null = null;
  let settling: { generation: number; done: Promise<void> } | null = null;
  client.on("topologyDescriptionChanged", ({ newDescription }) => {
    const now = deciderOf(newDescription);
    if (now === null || now === decider) return;
    decider = now;
    generation++;
  });

  const settle = async () => {
    await db.collection("primaries").insertOne({ seen_at: new Date() }, within());
  };

  return {
    generation: () => generation,
    async settled(): Promise<void> {
      while (settling?.generation !== generation) {
        const now = { generation, done: settle() };
        settling = now;
        // One that failed is tried again by whoever asks next.
        now.done.catch(() => settling === now && (settling = null));
        await now.done;
      }
      await settling.done;
    },
  };
}

/**
 * @throws Error when the client wouldn't follow the primary: one that was told to use this member, and no other, of several
 * has its answers also when it is a secondary, which may lack what was acknowledged; one that uses a load balancer sees no change.
 */
export async function assertFollowsPrimary(db: Db): Promise<void> {
  const { hosts = [], passives = [] } = await db.command({ hello: 1 }, within());
  const { directConnection, loadBalanced } = db.client.options;
  if (directConnection && hosts.length + passives.length > 1) {
    throw new Error("MONGODB_URL must not have directConnection: the server is one of several of a replica set");
  }
  // A connection string can't say so, but the DNS record that it names can.
  if (loadBalanced) throw new Error("MONGODB_URL must not lead to a load balancer");
}

const keptSeconds = 60 * 60;

export async function createPrimaryIndexes(db: Db): Promise<void> {
  await db.collection("primaries").createIndex({ seen_at: 1 }, { expireAfterSeconds: keptSeconds, ...within() });
}
