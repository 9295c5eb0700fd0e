import type { CommandStartedEvent, Db, Document, MongoClient } from "mongodb";

/** One statement with a filter, as it went to the server, without its session. */
export type Statement = { collection: string; kind: string; command: Document };

const several = { update: "updates", delete: "deletes" } as const;
const kinds = ["find", "aggregate", "count", "distinct", "update", "delete", "findAndModify"];

/** What a client sends to collections of one database, each kind of question once; of each the last that was asked. */
export function collectStatements(client: MongoClient, db: Db, isOwn: (collection: string) => boolean) {
  const shapes = new Map<string, Statement>();
  client.on("commandStarted", ({ commandName: kind, command, databaseName }: CommandStartedEvent) => {
    const collection = String(command[kind]);
    if (databaseName !== db.databaseName || !kinds.includes(kind) || !isOwn(collection)) return;
    const plain = plainCommand(kind, command);
    const parts = kind === "update" || kind === "delete" ? (plain[several[kind]] as Document[]) : [null];
    for (const part of parts) {
      const one = part === null ? plain : { ...plain, [several[kind as "update"]]: [part] };
      shapes.set(shapeOf(kind, one), { collection, kind, command: one });
    }
  });
  return shapes;
}

const asked = ["filter", "query", "q", "sort", "limit", "skip", "pipeline", "key", "update", "updates", "deletes"];
const more = ["upsert", "remove", "new", "multi", "cursor"];

const plainCommand = (kind: string, command: Document): Document =>
  Object.fromEntries(Object.entries(command).filter(([name]) => [kind, ...asked, ...more].includes(name)));

/** The question without its values. */
const shapeOf = (kind: string, { update: _, cursor: __, ...command }: Document): string =>
  JSON.stringify([kind, command[kind], valueless(command)]);

function valueless(value: unknown): unknown {
  if (Array.isArray(value)) {
    const inner = value.map(valueless).map((each) => JSON.stringify(each));
    return [...new Set(inner)].sort();
  }
  if (value !== null && typeof value === "object" && Object.getPrototypeOf(value) === Object.prototype) {
    return Object.fromEntries(
      Object.entries(value)
        .filter(([name]) => name !== "u")
        .map(([name, part]) => [name, valueless(part)]),
    );
  }
  return typeof value;
}

export type Plan = { examined: number; returned: number; stages: string };

/** How MongoDB does it now. */
export async function explain(db: Db, { command }: Statement): Promise<Plan> {
  const plan = await db.command({ explain: command, verbosity: "executionStats" });
  const stats = plan.executionStats ?? plan.stages[0].$cursor.executionStats;
  const text = JSON.stringify(stats.executionStages);
  const counts = [...text.matchAll(/"(?:nMatched|nWouldModify|nWouldDelete)":(\d+)/g)].map(([, n]) => Number(n));
  return {
    examined: Math.max(stats.totalKeysExamined, stats.totalDocsExamined),
    returned: Math.max(stats.nReturned, ...counts),
    stages: [...text.matchAll(/"(?:stage|indexName)":"(\w+)"/g)].map(([, name]) => name).join(" "),
  };
}
