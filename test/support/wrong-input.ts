import { beforeAll, describe, expect, test } from "bun:test";
import { type ExpectedProblem, expectProblem } from "./problem.ts";
import { type Answer, readAnswer, type Service } from "./service.ts";
import { snapshot } from "./snapshot.ts";

/** One request that must be refused, and how. */
export type Row = {
  name: string;
  status: number;
  type: string;
  pointers?: string[];
  reason?: ExpectedProblem["reason"];
  method?: string;
  path?: string;
  /** Text and bytes go as they are, a stream goes chunked, anything else as JSON. */
  body?: unknown;
  /** Null leaves the content type out. */
  contentType?: string | null;
  /** The whole header, made when the test runs. */
  authorization?: () => string | undefined;
  headers?: Record<string, string>;
};

const isRaw = (body: unknown) =>
  body === undefined || typeof body === "string" || body instanceof Uint8Array || typeof body === "function";

async function ask(url: string, { method = "GET", path = "/", ...row }: Row): Promise<Answer> {
  const { body, contentType = body === undefined ? null : "application/json", headers } = row;
  const authorization = row.authorization?.();
  const content = isRaw(body) ? body : JSON.stringify(body);
  const answer = await fetch(url + path, {
    method,
    headers: {
      ...(contentType !== null && { "content-type": contentType }),
      ...(authorization !== undefined && { authorization }),
      ...headers,
    },
    // As bytes: to text, fetch would add a content type of its own.
    ...(content !== undefined && {
      body:
        typeof content === "function"
          ? (content() as ReadableStream)
          : ((typeof content === "string" ? new TextEncoder().encode(content) : content) as Uint8Array<ArrayBuffer>),
    }),
  });
  return readAnswer(answer);
}

/** Tests that each request is refused with its problem document and leaves every collection as it was. */
export function refuses(
  service: Service,
  title: string,
  common: Pick<Row, "method" | "path" | "authorization">,
  rows: Row[],
) {
  describe(`${title} refuses with a problem document, storing nothing:`, () => {
    let before: string;
    beforeAll(async () => {
      before = await snapshot(service.db);
    });
    test.each(rows.map((row) => [row.name, row] as const))("%s", async (_name, row) => {
      const answer = await ask(service.url, { ...common, ...row });
      const path = new URL(service.url + (row.path ?? common.path)).pathname;
      expectProblem(answer, { ...row, path });
      expect(await snapshot(service.db)).toBe(before);
    });
  });
}

export const invalid = { status: 422, type: "invalid_request" };
const malformed = { status: 422, type: "malformed_json" };
const notJson = { status: 422, type: "unsupported_content_type" };
const tooLarge = { status: 413, type: "body_too_large" };

const bytes = (...parts: (string | number[])[]): Uint8Array =>
  Buffer.concat(parts.map((part) => (typeof part === "string" ? Buffer.from(part) : Buffer.from(part))));

/** Wrong values of one text field, for any field; `good` is a body that would be accepted. */
export function wrongTexts(good: Record<string, string>, field: string): Row[] {
  const pointers = [`#/${field}`];
  const { [field]: value = "", ...others } = good;
  const given = (name: string, wrong: unknown): Row => ({
    name: `${field}: ${name}`,
    ...invalid,
    pointers,
    body: { ...good, [field]: wrong },
  });
  /** The field's value as bytes between the quotes of a JSON string, after the good value's first character. */
  const raw = (name: string, ...inside: (string | number[])[]): Row => {
    const start = `${JSON.stringify(others).slice(0, -1)}${Object.keys(others).length > 0 ? "," : ""}"${field}":"`;
    return {
      name: `${field}: ${name}`,
      ...invalid,
      pointers,
      body: bytes(start, value.slice(0, 1), ...inside, value.slice(1), '"}'),
    };
  };
  return [
    given("a number", 42),
    given("a boolean", true),
    given("an array of it", [value]),
    given("an empty array", []),
    given("an object", {}),
    given("an operator $gt", { $gt: "" }),
    given("an operator $ne", { $ne: null }),
    given("an operator $regex", { $regex: ".*" }),
    given("an operator $where", { $where: "sleep(1000)" }),
    given("empty", ""),
    given("NUL in the middle", `${value.slice(0, 2)}\0${value.slice(2)}`),
    given("NUL at the end", `${value}\0`),
    given("50,000 characters", value + "x".repeat(50_000)),
    given("the replacement character", `\ufffd${value}`),
    raw("a lone high surrogate", "\\ud800"),
    raw("a lone low surrogate", "\\udc00"),
    raw("surrogates in the wrong order", "\\udc00\\ud800"),
    raw("a byte that is no UTF-8", [0xff]),
    raw("an overlong UTF-8 NUL", [0xc0, 0x80]),
    raw("a surrogate in UTF-8", [0xed, 0xa0, 0x80]),
    raw("a cut UTF-8 sequence", [0xe2, 0x82]),
  ];
}

/** How a route reads bodies: the limit of their size, and what it calls those that never stop opening. */
export type Reader = { bytesMax?: number; unclosed?: typeof invalid };
export const strangersReader: Reader = { bytesMax: 65_536 };

/** Bodies that can't be read; `good` is a body that would be accepted. */
export function unreadableBodies(good: object, { bytesMax = 1_048_576, unclosed = malformed }: Reader = {}): Row[] {
  const text = JSON.stringify(good);
  const broken = (name: string, body: unknown): Row => ({ name: `body: ${name}`, ...malformed, body });
  const sentAs = (contentType: string | null, body: unknown = text): Row => ({
    name: `content type: ${contentType ?? "none"}`,
    ...notJson,
    contentType,
    body,
  });
  const manyOf = (count: number, bytesOfOne: number) => Math.min(count, Math.floor(bytesMax / bytesOfOne));
  const large = `{"organization_name":"${"a".repeat(bytesMax)}"}`;
  const chunked = () =>
    new ReadableStream({
      start(controller) {
        for (let at = 0; at < large.length; at += 65_536) {
          controller.enqueue(new TextEncoder().encode(large.slice(at, at + 65_536)));
        }
        controller.close();
      },
    });
  return [
    { ...broken("none at all", undefined), contentType: "application/json" },
    broken("empty", ""),
    broken("white space", " \n"),
    broken("cut off", text.slice(0, -1)),
    broken("with something after it", `${text} x`),
    broken("two of them", text + text),
    broken("single quotes", text.replaceAll('"', "'")),
    broken("a trailing comma", `${text.slice(0, -1)},}`),
    broken("a comment", `/* */ ${text}`),
    broken("NaN", `{"organization_name":NaN}`),
    broken("a control character in a text", `{"organization_name":"ac\nme"}`),
    broken("UTF-16", Buffer.from(text, "utf16le")),
    broken("bytes that are nothing", bytes([0xff, 0xfe, 0x00, 0xd8])),
    broken("gzip", Bun.gzipSync(text)),
    ...["gzip", "br", "zstd", "GZip", "identity, deflate", "x"].map((encoding) => ({
      name: `content encoding: ${encoding}`,
      status: 415,
      type: "unsupported_content_encoding",
      headers: { "content-encoding": encoding },
      body: encoding === "gzip" ? Bun.gzipSync(text) : text,
    })),
    { name: "body: nothing but opening brackets", ...unclosed, body: "[".repeat(manyOf(500_000, 1)) },
    { name: "body: nothing but opening objects", ...unclosed, body: '{"a":'.repeat(manyOf(100_000, 5)) },
    {
      name: "body: nested very deep",
      ...invalid,
      body: "[".repeat(manyOf(200_000, 2)) + "]".repeat(manyOf(200_000, 2)),
    },
    { name: "body: too large, with Content-Length", ...tooLarge, body: large },
    { name: "body: too large, in chunks", ...tooLarge, body: chunked },
    { name: "body: too large, of something else", ...tooLarge, contentType: "application/octet-stream", body: large },
    sentAs(null),
    sentAs("text/plain"),
    sentAs("text/json"),
    sentAs("application/jsonx"),
    sentAs("application/x-www-form-urlencoded", "email=a%40b.co"),
    sentAs(
      "multipart/form-data; boundary=x",
      `--x\r\nContent-Disposition: form-data; name="email"\r\n\r\na@b.co\r\n--x--`,
    ),
    sentAs("application/octet-stream"),
    sentAs("garbage"),
  ];
}

/** Bodies that are wrong as a whole, for routes that know all fields; `good` is a body that would be accepted. */
export function wrongBodies(good: object, reader: Reader = {}): Row[] {
  const text = JSON.stringify(good);
  const whole = (name: string, body: unknown): Row => ({ name: `body: ${name}`, ...invalid, pointers: ["#"], body });
  const unknown = (field: string, pointer = `#/${field}`, value: unknown = "x"): Row => ({
    name: `unknown field: ${field || "empty"}`,
    ...invalid,
    pointers: [pointer],
    // Written as text: in a literal `__proto__` would be the prototype.
    body: `${text.slice(0, -1)},${JSON.stringify(field)}:${JSON.stringify(value)}}`,
  });
  return [
    whole("null", "null"),
    whole("an array", [good]),
    whole("an array of pairs", Object.entries(good)),
    whole("a text", JSON.stringify(text)),
    whole("a number", "42"),
    whole("false", "false"),
    ...unreadableBodies(good, reader),
    {
      name: "body: thousands of unknown fields",
      ...invalid,
      body: Object.fromEntries(
        Array.from({ length: reader === strangersReader ? 5_000 : 50_000 }, (_, n) => [`f${n}`, 1]),
      ),
    },
    unknown("extra"),
    unknown("_id", "#/_id", "6743a1f0c2a4b8d9e0f1a2b3"),
    unknown("id"),
    unknown("status", "#/status", "active"),
    unknown("tier", "#/tier", "enterprise"),
    unknown("region"),
    unknown("placement", "#/placement", { collection: "admin_users" }),
    unknown("organization_id"),
    unknown("email_keys", "#/email_keys", ["x@y.example"]),
    unknown("Email"),
    unknown("$set", "#/$set", { status: "active" }),
    unknown("$where"),
    unknown("a.b"),
    unknown("a/b~c", "#/a~1b~0c"),
    unknown("__proto__", "#/__proto__", { email: "proto@example.com" }),
    unknown("constructor", "#/constructor", { prototype: {} }),
    unknown("toString"),
    unknown("\0", "#/\0"),
    unknown("", "#/"),
  ];
}
