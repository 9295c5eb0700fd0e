import { type Document, EJSON, ObjectId } from "bson";
import { keyOf } from "./document.ts";

export type Lie = "lost write" | "foreign document" | "pages by number";
type Stored = { document: Document; version: number };

/**
 * The documents' API over a map in memory, in one process: so the workload and the checker can be tried without a
 * database. With a lie it does now and then what must never happen.
 */
export function startFake(lie?: Lie) {
  const tenants = new Map<string, Map<string, Stored>>();
  const sent = new Map<string, Response>();
  let [version, requests] = [0, 0];
  const answer = (status: number, body?: unknown, etag?: number) =>
    new Response(body === undefined ? null : EJSON.stringify(body as Document, { relaxed: true }), {
      status,
      headers: { "content-type": "application/json", ...(etag !== undefined && { etag: `"${etag}"` }) },
    });
  const problem = (status: number, code: string, more: object = {}) =>
    answer(status, { type: `urn:croupier:problem:${code}`, ...more });
  const lies = (what: Lie) => lie === what && requests > 200 && requests % 20 === 0;

  const insert = (store: Map<string, Stored>, document: Document): string | null => {
    const key = keyOf((document._id ??= new ObjectId()));
    if (store.has(key)) return null;
    store.set(key, { document, version: ++version });
    return key;
  };

  const answerTo = async (request: Request): Promise<Response> => {
    requests++;
    const token = request.headers.get("authorization") ?? "";
    const store = tenants.get(token) ?? new Map<string, Stored>();
    tenants.set(token, store);
    const url = new URL(request.url);
    const body = request.body ? EJSON.parse(await request.text()) : null;
    const path = url.pathname.slice("/org/documents".length);
    if (path === "") {
      if (request.method === "GET") {
        const [cursor, limit] = [url.searchParams.get("cursor"), Number(url.searchParams.get("limit"))];
        const keys = [...store.keys()].sort();
        // A page that begins at a number misses one document for each that was deleted before it.
        const after =
          lie === "pages by number" ? keys.slice(Number(cursor)) : keys.filter((key) => !cursor || key > cursor);
        const page = after.slice(0, limit);
        const next = lie === "pages by number" ? String(Number(cursor) + limit) : page.at(-1);
        const documents = page.map((key) => store.get(key)!.document);
        return answer(200, { documents, next_cursor: after.length > limit ? next : null });
      }
      if (Array.isArray(body)) {
        const done = body.map((document: Document) => insert(store, document));
        const errors = done.flatMap((key, n) => (key ? [] : [{ pointer: `#/${n}/_id`, code: "document_exists" }]));
        return errors.length > 0
          ? problem(409, "document_exists", { errors })
          : answer(201, { inserted_count: done.length });
      }
      const key = insert(store, body);
      return key ? answer(201, body, store.get(key)!.version) : problem(409, "document_exists");
    }
    const text = decodeURIComponent(path.slice(1));
    const id = /^[0-9a-f]{24}$/.test(text)
      ? new ObjectId(text)
      : /^(?!(true|false|null)$)[a-z][a-z_-]*$/.test(text)
        ? text
        : EJSON.parse(text);
    const key = keyOf(id);
    const there = store.get(key);
    if (!there) return problem(404, "document_not_found");
    if (request.method === "GET") {
      if (lies("foreign document")) return answer(200, { ...there.document, owner: "n" }, there.version);
      return answer(200, there.document, there.version);
    }
    const ifMatch = request.headers.get("if-match");
    if (ifMatch && ifMatch !== `"${there.version}"`) return problem(412, "precondition_failed");
    version++;
    if (request.method === "DELETE") {
      if (!lies("lost write")) store.delete(key);
      return answer(204);
    }
    const whole = request.method === "PUT" ? { _id: id, ...body } : { ...there.document, ...body };
    if (!lies("lost write")) store.set(key, { document: whole, version });
    return answer(200, whole, version);
  };

  const server = Bun.serve({
    port: 0,
    fetch: async (request) => {
      const again = request.headers.get("idempotency-key");
      const before = again ? sent.get(again) : undefined;
      if (before) return before.clone();
      const result = await answerTo(request);
      if (again) sent.set(again, result.clone());
      return result;
    },
  });
  return { url: server.url.href.replace(/\/$/, ""), stop: () => server.stop(true) };
}
