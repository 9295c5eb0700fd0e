import type { Db, TopologyDescription } from "mongodb";
import type { Expiring } from "./expiry.ts";
import { within } from "./mongo.ts";

const primaries = (db: Db) => db.collection("primaries");
export const primariesExpire: Expiring = { of: primaries, field: "seen_at", afterSeconds: 60 * 60 };

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

/** Behind mongos, and behind a load balancer, an election isn't seen from here. */
const hidesElections = ({ servers }: TopologyDescription): boolean =>
  [...servers.values()].some(({ type }) => type === "Mongos" || type === "LoadBalancer");

/**
 * Counts the changes of the primary that one of these clients has seen. The driver knows the new one before it sends anything there, so what was learned from
 * the one before can be told from what is learned now. And a new primary may for a moment show the majority an older state
 * than was acknowledged: a write of our own, acknowledged by the majority, ends that. Each client makes one, as one may learn of
 * an election later than another, and would go on asking the primary of before.
 *
 * @param dbs the same database, by as many clients
 */
export function watchPrimary(dbs: readonly Db[]) {
  let generation = 0;
  let settling: { generation: number; done: Promise<void> } | null = null;
  const hiding = new Set<Db>();
  for (const db of dbs) {
    let decider: string | null = null;
    db.client.on("topologyDescriptionChanged", ({ newDescription }) => {
      const now = deciderOf(newDescription);
      if (now === null) return;
      if (hidesElections(newDescription)) hiding.add(db);
      else hiding.delete(db);
      if (now === decider) return;
      decider = now;
      generation++;
    });
  }

  const settle = async () => {
    await Promise.all(dbs.map((db) => primaries(db).insertOne({ seen_at: new Date() }, within())));
  };

  return {
    generation: () => generation,
    /** Whether a change of the primary may go unseen. */
    isHidden: () => hiding.size > 0,
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
    throw new Error(
      "MONGODB_URL must not have directConnection: the server is one of several members of a replica set",
    );
  }
  // A connection string can't say so, but the DNS record that it names can.
  if (loadBalanced) throw new Error("MONGODB_URL must not point to a load balancer");
}
