import { createServer, connect, type Socket } from "node:net";
import { type Document, deserialize, serialize } from "bson";
import { findPrimary } from "./proxy.ts";

/** A statement as it is on its way to the database; documents inside it are left as bytes. */
export type Statement = {
  /** The command's name: `drop`, `insert`…; an `aggregate` that ends in `$merge` or `$out` is `merge`. */
  name: string;
  database: string;
  /** Null for a command that names no collection. */
  collection: string | null;
  command: Document;
};

export type Hold = {
  which(statement: Statement): boolean;
  /**
   * `request`: the statement comes to the database late. `answer`: it is carried out in time, and the answer comes late.
   * `lock`: as if others had a lock at the database that it waits for; one that says how long it may take is refused then.
   * What follows on the same connection waits too.
   */
  what?: "request" | "answer" | "lock";
  /** Everything else that the process sends waits as well, as if it had stalled with this statement on the wire. */
  whole?: boolean;
  /** How many statements are caught; one by default. */
  timesMax?: number;
};

export type Held = {
  /** Resolves with the first statement that was caught. */
  readonly caught: Promise<Statement>;
  count(): number;
  /** Lets go of what is held, and catches nothing any more. @returns what the database answered to each, in order */
  release(): Promise<Document[]>;
};

export type LateProxy = {
  /** The database, by way of the proxy. */
  url: string;
  hold(hold: Hold): Held;
  /** Resolves when the database has answered everything that it was sent. */
  quiet(): Promise<void>;
  close(): Promise<void>;
};

type Catch = Hold & {
  count: number;
  first: PromiseWithResolvers<Statement>;
  answers: Promise<Document>[];
  free: () => void;
  freed: Promise<void>;
};

const bytesOfHeader = 16;
const opMsg = 2013;

/**
 * Stands between one process and its database, and delivers late instead of never: what a client has sent comes to the
 * database even when the client is dead by then.
 */
export async function startLateProxy(databaseUrl: string): Promise<LateProxy> {
  const target = await findPrimary(databaseUrl);
  const catches = new Set<Catch>();
  const sockets = new Set<Socket>();
  /** Requests that the database has and hasn't answered, of all connections. */
  const unanswered = new Set<PromiseWithResolvers<Document>>();

  const catchFor = (statement: Statement | null, what: NonNullable<Hold["what"]>): Catch | undefined =>
    [...catches].find((one) => {
      if ((one.what ?? "request") !== what) return false;
      if (one.count > 0 && one.whole) return true;
      return statement !== null && one.count < (one.timesMax ?? 1) && one.which(statement);
    });

  const serve = (client: Socket) => {
    const database = connect(target.port, target.host);
    const waiting = new Map<number, { answer: PromiseWithResolvers<Document>; late: Promise<void> | null }>();
    sockets.add(client).add(database);
    let gone = false;
    // Each direction is in order, however long one message waits.
    let [sending, answering] = [Promise.resolve(), Promise.resolve()];
    const endWhenDone = () => {
      if (gone && waiting.size === 0) void sending.then(() => waiting.size === 0 && database.end());
    };

    const send = (message: Buffer) => {
      const statement = readStatement(message);
      const caught = catchFor(statement, "request") ?? catchFor(statement, "lock");
      const late = statement && catchFor(statement, "answer");
      const answer = Promise.withResolvers<Document>();
      for (const one of [caught, late]) {
        if (one && statement && one.which(statement)) note(one, statement, answer);
      }
      sending = sending.then(async () => {
        if (caught && !(await isLetThrough(caught, statement))) {
          answer.resolve(tooLong);
          if (!gone) client.write(answerTo(message, tooLong));
          return;
        }
        if (expectsAnswer(message)) {
          waiting.set(message.readInt32LE(4), { answer, late: late ? late.freed : null });
          unanswered.add(answer);
        }
        database.write(message);
      });
    };
    const receive = (message: Buffer) => {
      const id = message.readInt32LE(8);
      const request = waiting.get(id);
      if (request) {
        waiting.delete(id);
        unanswered.delete(request.answer);
        request.answer.resolve(readBody(message) ?? {});
      }
      answering = answering.then(async () => {
        await request?.late;
        if (!gone) client.write(message);
      });
      endWhenDone();
    };
    client.on("data", framed(send));
    database.on("data", framed(receive));
    client.on("error", () => {});
    database.on("error", () => {});
    client.on("close", () => {
      gone = true;
      sockets.delete(client);
      endWhenDone();
    });
    database.on("close", () => {
      sockets.delete(database);
      for (const { answer } of waiting.values()) {
        unanswered.delete(answer);
        answer.resolve({});
      }
      waiting.clear();
      void answering.then(() => client.destroy());
    });
  };
  const note = (one: Catch, statement: Statement, answer: PromiseWithResolvers<Document>) => {
    one.count++;
    one.answers.push(answer.promise);
    one.first.resolve(statement);
  };

  const server = createServer(serve);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  return {
    url: `mongodb://127.0.0.1:${port}/?directConnection=true`,
    hold(hold) {
      const { promise: freed, resolve: free } = Promise.withResolvers<void>();
      const one: Catch = { ...hold, count: 0, first: Promise.withResolvers<Statement>(), answers: [], free, freed };
      catches.add(one);
      return {
        caught: one.first.promise,
        count: () => one.count,
        async release() {
          catches.delete(one);
          free();
          return await Promise.all(one.answers);
        },
      };
    },
    async quiet() {
      while (unanswered.size > 0) await Promise.race([...unanswered].map(({ promise }) => promise));
    },
    async close() {
      for (const { free } of catches) free();
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

/** Whether a statement comes to the database, once it does; not when it may take less long than it is held. */
async function isLetThrough({ what, freed }: Catch, statement: Statement | null): Promise<boolean> {
  const maxTimeMs = what === "lock" ? statement?.command.maxTimeMS : undefined;
  if (maxTimeMs === undefined) return await freed.then(() => true);
  return await Promise.race([freed.then(() => true), Bun.sleep(Number(maxTimeMs)).then(() => false)]);
}

const tooLong = { ok: 0, code: 50, codeName: "MaxTimeMSExpired", errmsg: "operation exceeded time limit" };

function answerTo(request: Buffer, document: Document): Buffer {
  const body = serialize(document);
  const head = Buffer.alloc(bytesOfHeader + 5);
  head.writeInt32LE(head.length + body.length, 0);
  head.writeInt32LE(request.readInt32LE(4), 8);
  head.writeInt32LE(opMsg, 12);
  return Buffer.concat([head, body]);
}

/** Calls back for each whole message; each begins with its length. */
function framed(take: (message: Buffer) => void): (chunk: Buffer) => void {
  let chunks: Buffer[] = [];
  let [have, need] = [0, bytesOfHeader];
  return (chunk) => {
    chunks.push(chunk);
    have += chunk.length;
    while (have >= need) {
      const all = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks);
      const length = all.readInt32LE(0);
      chunks = [all];
      if (have < length) {
        need = length;
        return;
      }
      take(all.subarray(0, length));
      chunks = [all.subarray(length)];
      have -= length;
      need = bytesOfHeader;
    }
  };
}

const moreToCome = 2;
const expectsAnswer = (message: Buffer) =>
  message.readInt32LE(12) !== opMsg || (message.readUInt32LE(bytesOfHeader) & moreToCome) === 0;

/** The one section of an OP_MSG that holds the command or the answer; null for messages of other kinds. */
function readBody(message: Buffer): Document | null {
  if (message.readInt32LE(12) !== opMsg) return null;
  for (let at = bytesOfHeader + 4; at < message.length - 4;) {
    const size = message.readInt32LE(at + 1);
    if (message[at] === 0) return deserialize(message.subarray(at + 1, at + 1 + size), { raw: true });
    at += 1 + size;
  }
  return null;
}

function readStatement(message: Buffer): Statement | null {
  const command = readBody(message);
  if (!command) return null;
  const [name = "", target] = Object.entries(command)[0] ?? [];
  const lastStage = name === "aggregate" ? deserialize(command.pipeline?.at(-1) ?? emptyDocument) : {};
  return {
    name: "$merge" in lastStage || "$out" in lastStage ? "merge" : name,
    database: String(command.$db),
    collection: typeof target === "string" ? target : null,
    command,
  };
}
const emptyDocument = Buffer.from([5, 0, 0, 0, 0]);
