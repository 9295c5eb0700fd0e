import type { MongoClient } from "mongodb";
import { createClient } from "../../src/lib/mongo/client.ts";

/** The service's own client, which tells of each command that it sends. */
export const createMonitored = (url: string): MongoClient =>
  // The driver's types leave this out.
  Object.assign(createClient(url), { monitorCommands: true });
