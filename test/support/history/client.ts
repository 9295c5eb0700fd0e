import { type Document, EJSON } from "bson";
import { pathOf, readDocument } from "./document.ts";
import type { Event, Page, Recorder, Seen } from "./history.ts";

const timeoutMs = 5_000;

/** The processes that may be asked; one that was started again has another address. */
export type Targets = { url: string }[];
export type Access = {
  token: string;
  targets: Targets;
  recorder: Recorder;
  /** Which documents are listed; all when it isn't said. */
  listed?: Document;
};
/** Who asks whom. */
export type Caller = { client: string; process: number };

export type Answer = {
  startMs: number;
  endMs: number;
  status: number | null;
  code: string;
  etag: string | null;
  body: any;
};

/** Sends one request; `status` is null when no answer came in time. */
export async function ask(
  { token, targets, recorder }: Pick<Access, "token" | "targets" | "recorder">,
  { process }: Caller,
  [method, path]: [string, string],
  {
    body,
    headers = {},
    withinMs = timeoutMs,
  }: { body?: unknown; headers?: Record<string, string>; withinMs?: number } = {},
): Promise<Answer> {
  const startMs = recorder.now();
  const type = method === "PATCH" ? "application/merge-patch+json" : "application/json";
  try {
    const answer = await fetch(targets[process]!.url + path, {
      method,
      headers: { authorization: `Bearer ${token}`, ...(body !== undefined && { "content-type": type }), ...headers },
      ...(body !== undefined && { body: EJSON.stringify(body as Document, { relaxed: true }) }),
      signal: AbortSignal.timeout(withinMs),
    });
    const text = await answer.text();
    const parsed = text && answer.headers.get("content-type")?.includes("json") ? EJSON.parse(text) : null;
    const code = answer.ok
      ? ""
      : String(parsed?.type ?? "")
          .split(":")
          .at(-1)!;
    const { status, headers: given } = answer;
    return { startMs, endMs: recorder.now(), status, code, etag: given.get("etag"), body: parsed };
  } catch {
    return { startMs, endMs: recorder.now(), status: null, code: "", etag: null, body: null };
  }
}

const refusals = ["document_not_found", "document_exists", "precondition_failed"];

/** Whether it is done, as far as the answer tells. */
const outcomeOf = ({ status, code }: Answer): Pick<Event, "outcome" | "status"> => ({
  outcome:
    status === null
      ? "unknown"
      : status < 300
        ? "ok"
        : refusals.includes(code) || status === 422
          ? "failed"
          : "unknown",
  status,
});

const shownBy = ({ body, etag }: Answer): Pick<Event, "seen" | "etag"> => ({
  seen: readDocument(body),
  ...(etag !== null && { etag }),
});

const documents = "/org/documents";
const at = (key: string) => `${documents}/${pathOf(key)}`;
const condition = (ifMatch?: string) => (ifMatch === undefined ? {} : { headers: { "if-match": ifMatch } });

export async function get(access: Access, caller: Caller, key: string): Promise<Event> {
  const answer = await ask(access, caller, ["GET", at(key)]);
  const { startMs, endMs } = answer;
  const outcome = outcomeOf(answer);
  const seen =
    outcome.outcome === "ok"
      ? shownBy(answer)
      : outcome.status === 404 && outcome.outcome === "failed"
        ? { seen: null }
        : {};
  const event: Event = { ...caller, kind: "get", key, startMs, endMs, ...outcome, ...seen };
  access.recorder.record(event);
  return event;
}

/** Replaces, patches or deletes one document. */
export async function change(
  access: Access,
  caller: Caller,
  wanted: Pick<Event, "value" | "field" | "ifMatch"> & {
    kind: "replace" | "patch" | "delete";
    key: string;
    body?: Document;
  },
): Promise<Event> {
  const { body, ...rest } = wanted;
  const method = { replace: "PUT", patch: "PATCH", delete: "DELETE" }[wanted.kind];
  const answer = await ask(access, caller, [method, at(wanted.key)], {
    ...(body && { body }),
    ...condition(wanted.ifMatch),
  });
  const { startMs, endMs } = answer;
  const shown = answer.status === 200 ? shownBy(answer) : {};
  const event: Event = { ...caller, ...rest, startMs, endMs, ...outcomeOf(answer), ...shown };
  access.recorder.record(event);
  return event;
}

/** Inserts one document; with `again`, sends it once more under the same key when no answer tells what became of it. */
export async function insert(
  access: Access,
  caller: Caller,
  { key, value, body, again }: { key: string | null; value: string; body: Document; again?: string },
): Promise<Event> {
  const options = { body, ...(again && { headers: { "idempotency-key": again } }) };
  const first = await ask(access, caller, ["POST", documents], options);
  let answer = first;
  if (again && outcomeOf(first).outcome === "unknown") {
    const process = (caller.process + 1) % access.targets.length;
    answer = await ask(access, { ...caller, process }, ["POST", documents], options);
  }
  const shown = answer.status === 201 ? shownBy(answer) : {};
  const times = { startMs: first.startMs, endMs: answer.endMs };
  const event: Event = {
    ...caller,
    kind: "insert",
    key: shown.seen?.key ?? key,
    value,
    ...times,
    ...outcomeOf(answer),
    ...shown,
  };
  access.recorder.record(event);
  return event;
}

/** Inserts several; each is an insert by itself. */
export async function insertMany(
  access: Access,
  caller: Caller,
  wanted: { key: string; value: string; body: Document }[],
): Promise<void> {
  const answer = await ask(access, caller, ["POST", documents], { body: wanted.map(({ body }) => body) });
  const { startMs, endMs, status, body } = answer;
  const refused = new Set<number>();
  // A unique index is of values that are each written once: so it is none of this tenant's that says no.
  const isOdd = status === 409 && body.errors.some(({ code }: { code: string }) => code !== "document_exists");
  if (status === 409) for (const { pointer } of body.errors) refused.add(Number(/^#\/(\d+)/.exec(pointer)?.[1]));
  for (const [index, { key, value }] of wanted.entries()) {
    const outcome: Pick<Event, "outcome" | "status"> =
      status !== 409 || isOdd
        ? outcomeOf(answer)
        : refused.has(index)
          ? { outcome: "failed", status }
          : { outcome: "ok", status: 201 };
    access.recorder.record({ ...caller, kind: "insert", key, value, startMs, endMs, ...outcome });
  }
}

/** Lists everything, page after page. */
export async function list(access: Access, caller: Caller, limit: number): Promise<Event> {
  const pages: Page[] = [];
  let [cursor, last]: [string | null, Answer | null] = [null, null];
  do {
    const query = new URLSearchParams({
      limit: String(limit),
      ...(access.listed && { filter: EJSON.stringify(access.listed) }),
      ...(cursor !== null && { cursor }),
    });
    last = await ask(access, caller, ["GET", `${documents}?${query}`]);
    if (last.status !== 200) break;
    const shown: Seen[] = last.body.documents.map(readDocument);
    pages.push({ startMs: last.startMs, endMs: last.endMs, documents: shown });
    cursor = last.body.next_cursor;
  } while (cursor !== null);
  const { status, endMs } = last;
  // What the pages before a failure show counts too, but says nothing of what is missing.
  const outcome = status === 200 ? "ok" : "unknown";
  const startMs = pages[0]?.startMs ?? last.startMs;
  const event: Event = { ...caller, kind: "list", key: null, startMs, endMs, outcome, status, pages };
  access.recorder.record(event);
  return event;
}
