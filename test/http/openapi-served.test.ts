import { beforeAll, expect, test } from "bun:test";
import type { Schema } from "../support/json-schema.ts";
import { makeOperatorKey } from "../support/operator.ts";
import { useService } from "../support/service.ts";

const service = useService();
const path = "/openapi.json";
const get = (headers: Record<string, string> = {}) => fetch(service.url + path, { headers, decompress: false });

type Parameter = { name: string; in: string; required?: boolean; example?: unknown; schema: Schema };
let operations: { method: string; path: string; parameters: Parameter[] }[];
beforeAll(async () => {
  const { paths } = (await service.send("GET", path)).body;
  operations = Object.entries<Record<string, { parameters?: Parameter[] }>>(paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, { parameters = [] }]) => ({ method, path, parameters })),
  );
});

test("the description has at most 250 kB, is asked for again with its ETag, and comes compressed to whoever takes it so", async () => {
  const plain = await get({ "accept-encoding": "identity" });
  const packed = await get({ "accept-encoding": "br, gzip;q=0.5" });
  const text = await plain.text();
  expect(text.length).toBeLessThan(250_000);
  expect(plain.headers.get("content-encoding")).toBeNull();
  expect(packed.headers.get("content-encoding")).toBe("gzip");
  const bytes = await packed.bytes();
  expect(bytes.length).toBeLessThan(text.length / 4);
  expect(Buffer.from(Bun.gunzipSync(bytes)).toString()).toBe(text);

  const tags = [plain, packed].map(({ headers }) => headers.get("etag")!);
  expect(new Set(tags).size).toBe(2);
  for (const [n, encoding] of ["identity", "gzip"].entries()) {
    const again = await get({ "accept-encoding": encoding, "if-none-match": `"x", W/${tags[n]}` });
    expect([again.status, again.headers.get("etag"), await again.text()]).toEqual([304, tags[n]!, ""]);
    const other = await get({ "accept-encoding": encoding, "if-none-match": tags[1 - n]! });
    expect(other.status).toBe(200);
  }
  for (const { headers } of [plain, packed]) {
    expect(headers.get("content-type")).toBe("application/json");
    expect(headers.get("cache-control")).toBe("no-cache");
    expect(headers.get("vary")).toMatch(/\bAccept-Encoding\b/);
  }
});

test.each(["", "identity", "br", "gzip;q=0", "*;q=0", "gzip;q=0, *"])(
  "the description comes as it is to whoever sends Accept-Encoding: %p",
  async (encoding) => {
    const { headers } = await get({ "accept-encoding": encoding });
    expect(headers.get("content-encoding")).toBeNull();
  },
);

test("no parameter that may be left out has an example, which Swagger UI would send", () => {
  const optional = operations.flatMap(({ parameters }) => parameters.filter(({ required }) => !required));
  expect(optional.length).toBeGreaterThan(20);
  for (const { name, example, schema } of optional)
    expect({ name, example: example ?? schema.example }).toEqual({ name, example: undefined });
});

test("a newcomer who sends what Swagger UI fills in gets the same rows as who sends nothing", async () => {
  const { token } = await service.join();
  await service.send("POST", "/org/documents", { token, body: [{ color: "blue" }, { color: "red" }] });
  const operator = await makeOperatorKey(service.db, ["organizations:read", "audit:read"]);
  const rowsOf = (body: object) => Object.values(body).find((part) => Array.isArray(part));
  const lists = operations.filter(({ parameters }) => parameters.some(({ name }) => name === "limit"));
  expect(lists.map(({ path }) => path).sort()).toEqual(
    expect.arrayContaining(["/org/audit", "/org/documents", "/platform/audit", "/platform/organizations"]),
  );
  for (const { path, parameters } of lists) {
    const query = new URLSearchParams();
    for (const { name, schema } of parameters)
      if (schema.default !== undefined) query.set(name, String(schema.default));
    const options = { token: path.startsWith("/platform/") ? operator : token };
    const [plain, filled] = [
      await service.send("GET", path, options),
      await service.send("GET", `${path}?${query}`, options),
    ];
    expect({ path, rows: rowsOf(filled.body) }).toEqual({ path, rows: rowsOf(plain.body) });
    // Operations come and go: the others have rows from the start.
    if (path !== "/platform/operations") expect(rowsOf(plain.body)!.length).toBeGreaterThan(0);
  }
});
