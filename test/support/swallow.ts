import { connect, createServer, type Socket } from "node:net";
import { BSON, MongoClient } from "mongodb";

export type SwallowingProxy = {
  /** The database, by way of the proxy. */
  url: string;
  /** From now on answers to this command are swallowed; null: none. The command itself is carried out. */
  swallow(command: string | null): void;
  /** How many were. */
  swallowed(): number;
  close(): Promise<void>;
};

/** Cuts a stream of the wire protocol into messages, each of which begins with its length. */
export function messages(take: (message: Buffer) => void): (data: Buffer) => void {
  let rest: Buffer = Buffer.alloc(0);
  return (data) => {
    rest = Buffer.concat([rest, data]);
    while (rest.length >= 4 && rest.length >= rest.readInt32LE(0)) {
      const length = rest.readInt32LE(0);
      take(rest.subarray(0, length));
      rest = rest.subarray(length);
    }
  };
}

const opMsg = 2013;
/** What a message asks for: the first name of the document behind header, flags and the section's kind. */
const commandOf = (message: Buffer): string | undefined =>
  message.readInt32LE(12) === opMsg && message[20] === 0
    ? Object.keys(BSON.deserialize(message.subarray(21, 21 + message.readInt32LE(21))))[0]
    : undefined;

/** Stands before the database and keeps answers to one command back, as a network that is cut in one direction does. */
export async function startSwallowingProxy(databaseUrl: string): Promise<SwallowingProxy> {
  const client = new MongoClient(databaseUrl);
  const hello = await client.db("admin").command({ hello: 1 });
  const [host = "", port = ""] = String(hello.primary ?? client.options.hosts[0]).split(":");
  await client.close();
  const sockets = new Set<Socket>();
  let [wanted, count]: [string | null, number] = [null, 0];
  const server = createServer((from) => {
    const to = connect(Number(port), host);
    const unanswered = new Set<number>();
    const ask = messages((message) => {
      if (wanted !== null && commandOf(message) === wanted) unanswered.add(message.readInt32LE(4));
      to.write(message);
    });
    const answer = messages((message) => {
      if (unanswered.delete(message.readInt32LE(8))) count++;
      else from.write(message);
    });
    from.on("data", ask);
    to.on("data", answer);
    for (const [one, other] of [
      [from, to],
      [to, from],
    ] as const) {
      sockets.add(one);
      one.on("error", () => {});
      one.on("close", () => other.destroy());
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `mongodb://127.0.0.1:${(server.address() as { port: number }).port}/?directConnection=true`,
    swallow: (command) => void (wanted = command),
    swallowed: () => count,
    close: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
