import type { Random } from "../random.ts";
import type { Content, Event, History, Kind, Seen } from "./history.ts";
import { patchFields } from "./document.ts";
import { apply, type Effect, textOf } from "./register.ts";

/** What goes wrong once in a simulated history, in the middle of it. */
export type Planted = "lost write" | "old state" | "undone delete" | "stale read" | "double insert" | "hidden in list";

const owner = "m";
const shown = (key: string, { base, fields }: Content): Seen => ({ key, owner, base, echo: base, fields, strange: [] });

/**
 * A history of a store that does every request at one moment, in made-up time: requests take a while before and after that
 * moment, and some get no answer and are done much later or never.
 */
export function simulate(
  random: Random,
  size: { clients: number; keys: number; requests: number; unknown: number },
  planted?: Planted,
): History {
  const events: Event[] = [];
  const store = new Map<string, { content: Content; etag: string }>();
  const agenda: { at: number; run: (at: number) => void }[] = [];
  const plan = (at: number, run: (at: number) => void) => void agenda.push({ at, run });
  const keys = Array.from({ length: size.keys }, (_, n) => `"k${n}"`);
  const fields = patchFields;
  let [serial, version, left, broken] = [0, 0, size.requests, !planted];
  const goesWrong = (fault: Planted, possible = true) => {
    if (broken || planted !== fault || !possible || left > size.requests / 2) return false;
    return (broken = true);
  };

  /** What the store says to a request; this is the moment at which it happens. */
  const happen = (event: Event, effect: Effect | null) => {
    const key = event.key!;
    const before = store.get(key);
    if (!effect) {
      // Somebody who doesn't know of the last writes answers.
      const old = old_states.find((one) => one.key === key && one.until < event.startMs);
      if (old && goesWrong("stale read", textOf(before?.content ?? null) !== textOf(old.content))) {
        return { status: old.content ? 200 : 404, seen: old.content && shown(key, old.content) };
      }
      return before
        ? { status: 200, seen: shown(key, before.content), etag: before.etag }
        : { status: 404, seen: null };
    }
    if (event.ifMatch && before && before.etag !== event.ifMatch) return { status: 412 };
    const again = effect.does === "insert" && before && goesWrong("double insert");
    const after = again ? { base: effect.value, fields: {} } : apply(before?.content ?? null, effect);
    if (after === undefined) return { status: before ? 409 : 404 };
    const etag = `"${++version}"`;
    if (goesWrong("lost write", event.outcome === "ok")) return { status: 200, seen: after && shown(key, after), etag };
    old_states.unshift({ key, content: before?.content ?? null, until: now });
    if (after) store.set(key, { content: after, etag });
    else store.delete(key);
    if (!after && before && goesWrong("undone delete")) plan(now + 30, () => void store.set(key, before));
    if (before && goesWrong("old state")) plan(now + 30, () => void store.set(key, before));
    return after ? { status: 200, seen: shown(key, after), etag } : { status: 204 };
  };
  const old_states: { key: string; content: Content | null; until: number }[] = [];
  let now = 0;

  const request = (client: string, startMs: number): void => {
    if (left-- <= 0) return;
    const kind = random.pick<Kind>(["insert", "replace", "patch", "delete", "get", "get", "get", "list"]);
    const value = `${owner}/${++serial}`;
    const known = { client, process: 0, startMs, endMs: startMs, outcome: "ok" as const, status: 200 };
    const next = (endMs: number) => plan(endMs + random.between(0, 3), (at) => request(client, at));
    if (kind === "list") return list({ ...known, kind, key: null }, next);
    const key = random.pick(keys);
    const there = store.get(key);
    const field = random.pick(fields);
    const event: Event = {
      ...known,
      kind,
      key,
      ...(kind !== "get" && kind !== "delete" && { value }),
      ...(kind === "patch" && { field }),
      ...(there && kind !== "insert" && kind !== "get" && random.next() < 0.3 && { ifMatch: there.etag }),
    };
    const effect = kind === "get" ? null : ({ does: kind, value, field } as Effect);
    if (effect && random.next() < size.unknown) {
      const endMs = startMs + 20;
      if (random.next() < 0.7)
        plan(startMs + random.between(0, 100), () => void happen({ ...event, outcome: "unknown" }, effect));
      events.push({ ...event, endMs, outcome: "unknown", status: null });
      return next(endMs);
    }
    plan(startMs + random.between(0.1, 5), (at) => {
      const answer = happen(event, effect);
      const endMs = at + random.between(0.1, 5);
      const outcome = answer.status < 300 ? "ok" : "failed";
      events.push({ ...event, ...answer, endMs, outcome });
      next(endMs);
    });
  };

  /** Pages in the order of the keys, each read at a moment of its own. */
  const list = (event: Event, next: (endMs: number) => void): void => {
    const pages: NonNullable<Event["pages"]> = [];
    const page = (from: number, startMs: number) =>
      plan(startMs + random.between(0.1, 3), (at) => {
        const some = keys.slice(from, from + 3).filter((key) => store.has(key));
        const hidden = some.length > 0 && goesWrong("hidden in list") ? some[0] : null;
        const documents = some.filter((key) => key !== hidden).map((key) => shown(key, store.get(key)!.content));
        const endMs = at + random.between(0.1, 3);
        pages.push({ startMs, endMs, documents });
        if (from + 3 < keys.length) return page(from + 3, endMs);
        events.push({ ...event, endMs, pages });
        next(endMs);
      });
    page(0, event.startMs);
  };

  for (let client = 0; client < size.clients; client++) plan(random.next(), (at) => request(`c${client}`, at));
  while (agenda.length > 0) {
    const first = agenda.reduce((a, b) => (b.at < a.at ? b : a));
    agenda.splice(agenda.indexOf(first), 1);
    now = first.at;
    first.run(first.at);
  }
  const documents = [...store].map(([key, { content }]) => shown(key, content));
  const stored = { startMs: now + 200, endMs: now + 201, documents };
  return { owner, others: [], events, final: { stored, leftBehind: [], indexesBefore: [], indexesAfter: [] } };
}
