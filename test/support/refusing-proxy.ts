import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { BSON, type Document } from "mongodb";
import { findPrimary } from "./proxy.ts";
import { messages } from "./swallow.ts";

export type Command = { name: string; database: string; body: Document };
/** What the proxy answers instead of the database; null: the database is asked; `lost`: it is, and its answer never comes. */
export type Rule = (command: Command) => Document | "lost" | null;

export type RefusingProxy = {
  /** The database, by way of the proxy. */
  url: string;
  /** From now on; null: everything goes to the database. */
  answer(rule: Rule | null): void;
  close(): Promise<void>;
};

const opMessage = 2013;
const headerBytes = 16;

/** As MongoDB says it, which quotes the command with all that is in it. */
export const refusal = ({ name, database, body }: Command): Document => ({
  ok: 0,
  errmsg: `not authorized on ${database} to execute command { ${name}: ${JSON.stringify(body)} }`,
  code: 13,
  codeName: "Unauthorized",
});

/**
 * A real database, some of whose statements are answered by a rule. A client waits for one answer before it sends the next
 * command on a connection, so one that is made up comes between whole answers of the database.
 */
export async function startRefusingProxy(databaseUrl: string): Promise<RefusingProxy> {
  const target = await findPrimary(databaseUrl);
  const sockets = new Set<Socket>();
  let rule: Rule | null = null;

  const join = (from: Socket, to: Socket) => {
    sockets.add(from);
    from.on("error", () => {});
    from.on("close", () => {
      sockets.delete(from);
      to.destroy();
    });
  };
  const server = createServer((client) => {
    const database = connect(target.port, target.host);
    join(client, database);
    join(database, client);
    const lost = new Set<number>();
    const answered = messages((message) => {
      if (!lost.delete(message.readInt32LE(8))) client.write(message);
    });
    const asked = messages((message) => {
      const command = readCommand(message);
      const made = command && rule?.(command);
      if (made === "lost") lost.add(message.readInt32LE(4));
      if (made && made !== "lost") client.write(answerTo(message, made));
      else database.write(message);
    });
    database.on("data", answered);
    client.on("data", asked);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `mongodb://127.0.0.1:${(server.address() as AddressInfo).port}/?directConnection=true`,
    answer: (next) => void (rule = next),
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

/** The command of an OP_MSG, its documents in sections of their own left out. */
function readCommand(message: Buffer): Command | null {
  if (message.readInt32LE(12) !== opMessage || message[headerBytes + 4] !== 0) return null;
  const start = headerBytes + 5;
  const body = BSON.deserialize(message.subarray(start, start + message.readInt32LE(start)));
  return { name: Object.keys(body)[0] ?? "", database: String(body.$db), body };
}

function answerTo(message: Buffer, document: Document): Buffer {
  const body = BSON.serialize(document);
  const head = Buffer.alloc(headerBytes + 5);
  head.writeInt32LE(head.length + body.length, 0);
  head.writeInt32LE(message.readInt32LE(4), 8);
  head.writeInt32LE(opMessage, 12);
  return Buffer.concat([head, body]);
}
