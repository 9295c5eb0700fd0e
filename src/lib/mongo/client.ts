import { MongoClient } from "mongodb";
import { ownOptions } from "./connection-options.ts";

/**
 * A client that says within seconds that the database is away, and goes on by itself when it is back.
 *
 * @param poolSize how many connections it has at the most; null: what the connection string says
 */
export const createClient = (url: string, poolSize: number | null = null): MongoClient =>
  new MongoClient(url, { ...ownOptions, ...(poolSize !== null && { maxPoolSize: poolSize, minPoolSize: 0 }) });
