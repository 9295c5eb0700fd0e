import { createServer, connect, type Server, type Socket } from "node:net";
import { MongoClient } from "mongodb";

export type Proxy = {
  /** The database, by way of the proxy. */
  url: string;
  /** Ends all connections and takes no new one. */
  refuse(): Promise<void>;
  /** Takes connections and bytes, and never answers; what is under way stays without an answer too. */
  hang(): void;
  forward(): Promise<void>;
  close(): Promise<void>;
};

/** Stands between the service and its database, and can be away in the two ways that a database can. */
export async function startProxy(databaseUrl: string): Promise<Proxy> {
  const target = await findPrimary(databaseUrl);
  const sockets = new Set<Socket>();
  let hanging = false;
  let server: Server | null = null;
  let port = 0;

  const pass = (from: Socket, to: Socket) => {
    sockets.add(from);
    from.on("data", (data) => {
      if (!hanging) to.write(data);
    });
    from.on("error", () => {});
    from.on("close", () => {
      sockets.delete(from);
      to.destroy();
    });
  };
  const listen = async () => {
    server = createServer((client) => {
      const database = connect(target.port, target.host);
      pass(client, database);
      pass(database, client);
    });
    await new Promise<void>((resolve) => server!.listen(port, "127.0.0.1", resolve));
    port = (server.address() as { port: number }).port;
  };
  const stopListening = async () => {
    const closed = new Promise<void>((resolve) => (server ? server.close(() => resolve()) : resolve()));
    server = null;
    for (const socket of sockets) socket.destroy();
    await closed;
  };
  await listen();
  return {
    url: `mongodb://127.0.0.1:${port}/?directConnection=true`,
    refuse: stopListening,
    hang: () => void (hanging = true),
    forward: async () => {
      // A stream from which bytes are missing is of no use any more.
      if (hanging) for (const socket of sockets) socket.destroy();
      hanging = false;
      if (!server) await listen();
    },
    close: stopListening,
  };
}

/** The server that takes the writes. */
export async function findPrimary(databaseUrl: string): Promise<{ host: string; port: number }> {
  const client = new MongoClient(databaseUrl);
  const hello = await client.db("admin").command({ hello: 1 });
  const first = client.options.hosts[0]!;
  await client.close();
  const [host = "", port = ""] = String(hello.primary ?? `${first.host}:${first.port}`).split(":");
  return { host, port: Number(port) };
}
