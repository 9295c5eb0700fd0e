import type { MongoClient } from "mongodb";
import { within } from "./mongo.ts";

/** What answers behind a connection string: they speak one protocol, and not all they say is the same. */
export type Engine = "mongodb" | "ferretdb";

const asked = new WeakMap<MongoClient, Promise<Engine>>();

/** Asked once per client; a question that failed is asked again by whoever comes next. */
export function engineOf(client: MongoClient): Promise<Engine> {
  const known = asked.get(client);
  if (known) return known;
  const asking = ask(client);
  asked.set(client, asking);
  asking.catch(() => asked.delete(client));
  return asking;
}

async function ask(client: MongoClient): Promise<Engine> {
  const info = await client.db("admin").command({ buildInfo: 1 }, within());
  return "ferretdb" in info ? "ferretdb" : "mongodb";
}
