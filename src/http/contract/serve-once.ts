import { createHash } from "node:crypto";
import type { Handler } from "hono";
import { accepts } from "hono/accepts";

/** As it is sent, plain and compressed; each has an ETag of its own, as their bytes differ (RFC 9110, 8.8.3.3). */
function print(value: unknown) {
  const json = Buffer.from(JSON.stringify(value));
  const tag = createHash("sha256").update(json).digest("base64url").slice(0, 22);
  const plain = { body: json, headers: { ETag: `"${tag}"` } };
  const gzip = { "Content-Encoding": "gzip", ETag: `"${tag}-gzip"` };
  return { plain, gzip: { body: Bun.gzipSync(json, { level: 9 }), headers: gzip } };
}

/** Answers with a value that stays the same, made and printed at the first request; `etag()` before it answers with 304. */
export function serveOnce(make: () => unknown): Handler {
  let printed: ReturnType<typeof print> | undefined;
  return (c) => {
    printed ??= print(make());
    const encoding = accepts(c, { header: "Accept-Encoding", supports: ["gzip"], default: "plain" });
    const { body, headers } = encoding === "gzip" ? printed.gzip : printed.plain;
    c.header("Vary", "Accept-Encoding", { append: true });
    return c.body(body, 200, { ...headers, "Content-Type": "application/json", "Cache-Control": "no-cache" });
  };
}
