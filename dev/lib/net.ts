import { MongoClient } from "mongodb";
import { createServer } from "node:net";

/** A port of 127.0.0.1 that nobody listens on. */
export async function freePort(): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const server = createServer();
  server.once("error", reject);
  server.listen(0, "127.0.0.1", () => {
    const address = server.address();
    const port = typeof address === "object" && address ? address.port : 0;
    server.close(() => resolve(port));
  });
  return promise;
}

/** Does a MongoDB answer at this address? */
export async function answers(url: string, timeoutMs: number): Promise<boolean> {
  return withClient(url, timeoutMs, (client) => client.db("admin").command({ ping: 1 }))
    .then(() => true)
    .catch(() => false);
}

/** Opens a connection for one use. */
export async function withClient<T>(
  url: string,
  timeoutMs: number,
  use: (client: MongoClient) => Promise<T>,
): Promise<T> {
  const client = new MongoClient(url, { serverSelectionTimeoutMS: timeoutMs, connectTimeoutMS: timeoutMs });
  try {
    return await use(client);
  } finally {
    await client.close();
  }
}
