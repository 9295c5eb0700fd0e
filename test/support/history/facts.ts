import type { Content, Event, History, Seen } from "./history.ts";
import type { Fact } from "./linearize.ts";
import { type Effect, textOf } from "./register.ts";

/** Where a fact comes from: an event of the history, or what was read from the database at the end. */
export type Source = { event: Event | null; seen?: Seen };
export type KeyFact = Fact<Source>;

const contentOf = ({ base, fields }: Seen): Content => ({ base, fields });

export type Sighting = { seen: Seen; startMs: number; endMs: number; event: Event | null };

/** Every document that anybody was shown, with the time in which it must have been so. */
export function sightings({ events, final }: Pick<History, "events" | "final">): Sighting[] {
  const found: Sighting[] = [];
  for (const event of events) {
    const { seen, startMs, endMs, pages = [] } = event;
    if (seen) found.push({ seen, startMs, endMs, event });
    // Each request of a listing is a read by itself.
    for (const page of pages) {
      for (const seen of page.documents) found.push({ seen, startMs: page.startMs, endMs: page.endMs, event });
    }
  }
  if (!final.stored) return found;
  const { startMs, endMs, documents } = final.stored;
  for (const seen of documents) found.push({ seen, startMs, endMs, event: null });
  return found;
}

/** An insert whose id the server chose and whose answer was lost has the id under which its value was seen. */
export function withKeys(events: readonly Event[], seen: Sighting[]): Event[] {
  const keyOf = new Map(seen.map(({ seen }) => [seen.base, seen.key]));
  return events.map((event) => {
    if (event.kind !== "insert" || event.key !== null) return event;
    return { ...event, key: event.seen?.key ?? keyOf.get(event.value!) ?? null };
  });
}

/** Which content each version (ETag) stands for. */
function versions(events: readonly Event[]): Map<string, Content> {
  const found = new Map<string, Content>();
  for (const { etag, seen } of events) if (etag && seen) found.set(`${seen.key} ${etag}`, contentOf(seen));
  return found;
}

/** What the events say about each document: writes that did or may have happened, and what was seen. */
export function factsByKey(history: History): Map<string, KeyFact[]> {
  const seen = sightings(history);
  const events = withKeys(history.events, seen);
  const contents = versions(events);
  const facts = new Map<string, KeyFact[]>();
  const add = (key: string, fact: KeyFact) => {
    const some = facts.get(key);
    if (some) some.push(fact);
    else facts.set(key, [fact]);
  };

  for (const event of events) {
    if (event.key === null) continue;
    const { startMs, endMs, outcome, key } = event;
    const effect = outcome === "failed" ? refusal(event, contents) : write(event, contents);
    const sure = outcome !== "unknown";
    if (effect) add(key, { effect, startMs, endMs: sure ? endMs : Infinity, sure, from: { event } });
    if (event.kind === "get" && event.seen === null) add(key, absent(event, { event }));
  }
  for (const { seen: shown, startMs, endMs, event } of seen) {
    const effect: Effect = { does: "see", content: contentOf(shown) };
    add(shown.key, { effect, startMs, endMs, sure: true, from: { event, seen: shown } });
  }
  addAbsences(history.events, facts, add);
  const { stored } = history.final;
  if (!stored) return facts;
  const there = new Set(stored.documents.map(({ key }) => key));
  for (const key of facts.keys()) if (!there.has(key)) add(key, absent(stored, { event: null }));
  return facts;
}

/**
 * A listing goes through the ids in their order. So what it doesn't show was absent at the moment when it came by, which is
 * some moment of the listing.
 */
function addAbsences(
  events: readonly Event[],
  facts: Map<string, KeyFact[]>,
  add: (key: string, fact: KeyFact) => void,
) {
  const begins = new Map([...facts].map(([key, some]) => [key, Math.min(...some.map(({ startMs }) => startMs))]));
  for (const event of events) {
    if (event.kind !== "list" || event.outcome !== "ok") continue;
    const shown = new Set(event.pages!.flatMap(({ documents }) => documents.map(({ key }) => key)));
    for (const [key, beginMs] of begins) {
      if (!shown.has(key) && beginMs <= event.endMs) add(key, absent(event, { event }));
    }
  }
}

const absent = ({ startMs, endMs }: { startMs: number; endMs: number }, from: Source): KeyFact => ({
  effect: { does: "see", content: null },
  startMs,
  endMs,
  sure: true,
  from,
});

/** What a request does when it is done; null for one that only reads. */
function write({ kind, value = "", field = "", ifMatch, key }: Event, contents: Map<string, Content>): Effect | null {
  const on = ifMatch === undefined ? undefined : contents.get(`${key} ${ifMatch}`);
  const condition = on && { on };
  switch (kind) {
    case "insert":
      return { does: "insert", value };
    case "replace":
      return { does: "replace", value, ...condition };
    case "patch":
      return { does: "patch", value, field, ...condition };
    case "delete":
      return { does: "delete", ...condition };
    default:
      return null;
  }
}

/** What a refusal says about the document: it was there, it wasn't, or it was another version. */
function refusal({ kind, status, ifMatch, key }: Event, contents: Map<string, Content>): Effect | null {
  if (status === 404 && kind !== "get") return { does: "see", content: null };
  if (status === 409 && kind === "insert") return { does: "see_any" };
  const than = status === 412 ? contents.get(`${key} ${ifMatch}`) : undefined;
  return than ? { does: "see_other", than } : null;
}

/** Versions that stand for two contents, or contents that have two versions. */
export function findMixedVersions(events: readonly Event[]): { key: string; message: string }[] {
  const contentOfVersion = new Map<string, string>();
  const versionOfContent = new Map<string, string>();
  const wrong: { key: string; message: string }[] = [];
  for (const { etag, seen } of events) {
    if (!etag || !seen) continue;
    const text = textOf(contentOf(seen));
    const content = contentOfVersion.get(`${seen.key} ${etag}`) ?? text;
    const version = versionOfContent.get(`${seen.key} ${text}`) ?? etag;
    contentOfVersion.set(`${seen.key} ${etag}`, content);
    versionOfContent.set(`${seen.key} ${text}`, version);
    if (content !== text) wrong.push({ key: seen.key, message: `${etag} is ${content} and ${text}` });
    if (version !== etag) wrong.push({ key: seen.key, message: `${text} is ${version} and ${etag}` });
  }
  return wrong;
}
