import { writeFile } from "node:fs/promises";

export type Kind = "insert" | "replace" | "patch" | "delete" | "get" | "list";

/** What a document says: `base` by the insert or replace that made it, each of `fields` by the last patch of that name. */
export type Content = { base: string; fields: Record<string, string> };

/** A document as it was seen, not judged yet. `key` is its id as Extended JSON, the same text for the same id. */
export type Seen = Content & {
  key: string;
  /** The tenant that wrote it. */
  owner: string;
  /** The base again, from the other end of the document: another value means that it is half of two writes. */
  echo: string;
  /** Names that nobody wrote: fields that Croupier keeps and mustn't show, say. */
  strange: string[];
};

/** What was read by one request of a listing. */
export type Page = { startMs: number; endMs: number; documents: Seen[] };

/**
 * One request and what came of it. `ok`: done. `failed`: surely not done, and `status` says why (404, 409, 412, 422).
 * `unknown`: no answer, or one that doesn't tell (5xx); it may have been done, be done at any later time, or never.
 */
export type Event = {
  client: string;
  /** Which process was asked. */
  process: number;
  kind: Kind;
  /** The document's id as Extended JSON; null for a list, and for an insert whose id the server was to choose. */
  key: string | null;
  /** What was written; no two writes have the same. */
  value?: string;
  /** The field that a patch sets. */
  field?: string;
  ifMatch?: string;
  /** Both by the one monotonic clock of the recorder. */
  startMs: number;
  endMs: number;
  outcome: "ok" | "failed" | "unknown";
  status: number | null;
  /** The document that the answer shows; null when it says that there is none. */
  seen?: Seen | null;
  etag?: string;
  pages?: Page[];
};

/** What is found when all is quiet. */
export type Final = {
  /** The tenant's documents as they lie in the database at its placement, read between these two moments; null: it was removed. */
  stored: Page | null;
  /** Whatever is of this tenant and lies anywhere else, described for a person. */
  leftBehind: string[];
  indexesBefore: string[];
  indexesAfter: string[];
};

/** One tenant's history. `others` are the owners whose documents it must never see. */
export type History = { owner: string; others: string[]; events: Event[]; final: Final };

/** Collects events; nothing is ever changed or taken away. */
export function createRecorder(now: () => number = () => performance.now()) {
  const events: Event[] = [];
  return { events: events as readonly Event[], now, record: (event: Event) => void events.push(event) };
}
export type Recorder = ReturnType<typeof createRecorder>;

/** One JSON value a line: what the run was, then every event, then the end. */
export async function saveHistory(file: string, about: Record<string, unknown>, histories: History[]): Promise<void> {
  const lines = histories.flatMap(({ events, ...rest }) => [rest, ...events]);
  await writeFile(file, [about, ...lines].map((line) => `${JSON.stringify(line)}\n`).join(""));
}

export async function loadHistory(file: string): Promise<History[]> {
  const [, ...lines] = (await Bun.file(file).text()).trimEnd().split("\n");
  const histories: History[] = [];
  for (const line of lines) {
    const value = JSON.parse(line);
    if ("owner" in value) histories.push({ ...value, events: [] });
    else histories.at(-1)!.events.push(value);
  }
  return histories;
}
