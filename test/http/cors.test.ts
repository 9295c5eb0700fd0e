import { describe, expect, test } from "bun:test";
import { readConfig } from "../../src/config.ts";
import { testConfig, useService } from "../support/service.ts";

const listed = ["https://app.acme.example", "http://localhost:5173"];
const service = useService({ CORS_ORIGINS: ` ${listed[0]} ,${listed[1]},` });
const closed = useService();
const development = useService({ CROUPIER_ENV: "development" });
const localPages = ["http://localhost:5173", "http://127.0.0.1:3000", "https://localhost", "http://[::1]:8080"];

const corsHeaders = (headers: Headers) => [...headers.keys()].filter((name) => name.startsWith("access-control-"));
const preflight = { "access-control-request-method": "PUT", "access-control-request-headers": "authorization,x-evil" };

describe("a page of a listed origin", () => {
  test.each(listed)("%s may ask, whatever the answer is, and read the headers that it needs", async (origin) => {
    const { token } = await service.join();
    const answers = [
      await service.send("GET", "/", { headers: { origin } }),
      await service.send("GET", "/org/get?organization_name=nobody-has-this", { headers: { origin } }),
      await service.send("GET", "/nothing", { headers: { origin } }),
      await service.send("PUT", "/org/update", { body: {}, headers: { origin } }),
      await service.send("POST", "/org/documents", { token, body: { n: 1 }, headers: { origin } }),
      await service.send("POST", "/org/get", { headers: { origin } }),
    ];
    expect(answers.map(({ status }) => status)).toEqual([200, 404, 404, 401, 201, 405]);
    for (const { headers } of answers) {
      expect(headers.get("access-control-allow-origin")).toBe(origin);
      expect(headers.get("access-control-allow-credentials")).toBeNull();
      expect(headers.get("vary")).toMatch(/\bOrigin\b/);
      const exposed = headers.get("access-control-expose-headers")!.split(",");
      expect(exposed).toEqual(
        expect.arrayContaining(["ETag", "Location", "Retry-After", "RateLimit", "RateLimit-Policy"]),
      );
    }
  });

  test("may read that /openapi.json is as it was, and the request's id", async () => {
    const headers = { origin: listed[0]!, "x-request-id": "asked-again" };
    const first = await service.send("GET", "/openapi.json", { headers });
    const again = await service.send("GET", "/openapi.json", {
      headers: { ...headers, "if-none-match": first.headers.get("etag")! },
    });
    expect(again.status).toBe(304);
    for (const name of ["access-control-allow-origin", "access-control-expose-headers", "x-request-id", "vary"]) {
      expect([name, again.headers.get(name)]).toEqual([name, first.headers.get(name)!]);
    }
  });

  test("has its preflight answered for every route, with what the API takes and nothing that was asked for beside it", async () => {
    for (const path of ["/org/update", "/org/documents/1", "/admin/login", "/platform/operations"]) {
      const { status, headers, text } = await service.send("OPTIONS", path, {
        headers: { origin: listed[0]!, ...preflight },
      });
      expect([status, text]).toEqual([204, ""]);
      expect(headers.get("access-control-allow-origin")).toBe(listed[0]!);
      expect(headers.get("access-control-allow-methods")).toBe("GET,HEAD,POST,PUT,PATCH,DELETE");
      expect(headers.get("access-control-allow-headers")).toContain("Authorization");
      expect(headers.get("access-control-allow-headers")).not.toContain("x-evil");
      expect(headers.get("access-control-max-age")).toBe("600");
    }
  });

  test("gets 405 for an OPTIONS that is no preflight", async () => {
    expect((await service.send("OPTIONS", "/org/update", { headers: { origin: listed[0]! } })).status).toBe(405);
  });
});

describe("a page of an origin that isn't listed", () => {
  test.each([
    "https://evil.example",
    "https://app.acme.example.evil.example",
    "https://app.acme.example:8443",
    "http://app.acme.example",
    "https://APP.acme.example",
    "https://app.acme.example/",
    "https://sub.app.acme.example",
    "null",
    "*",
    "",
  ])("of %p may neither ask nor read", async (origin) => {
    const asked = await service.send("GET", "/", { headers: { origin } });
    expect(corsHeaders(asked.headers)).toEqual([]);
    expect(asked.headers.get("vary")).toMatch(/\bOrigin\b/);
    const before = await service.send("OPTIONS", "/org/update", { headers: { origin, ...preflight } });
    expect([before.status, corsHeaders(before.headers)]).toEqual([405, []]);
  });

  test("a page of any origin is refused when none is listed, which is the default", async () => {
    for (const origin of [...listed, ...localPages, "https://evil.example"]) {
      const asked = await closed.send("GET", "/", { headers: { origin } });
      const before = await closed.send("OPTIONS", "/org/update", { headers: { origin, ...preflight } });
      expect([...corsHeaders(asked.headers), ...corsHeaders(before.headers)]).toEqual([]);
    }
  });
});

describe("in development without CORS_ORIGINS", () => {
  test.each(localPages)("a page of %s may ask and read", async (origin) => {
    const before = await development.send("OPTIONS", "/org/update", { headers: { origin, ...preflight } });
    const asked = await development.send("GET", "/", { headers: { origin } });
    for (const { headers } of [before, asked]) expect(headers.get("access-control-allow-origin")).toBe(origin);
  });

  test.each([
    "https://evil.example",
    "http://localhost.evil.example",
    "http://evil.example:localhost",
    "http://notlocalhost:5173",
    "http://localhost:5173/",
    "http://localhost:5173.evil.example",
    "http://127.0.0.1.evil.example",
    "http://127.0.0.2:3000",
    "http://192.168.0.7:3000",
    "file://localhost",
    "null",
    "",
  ])("a page of %p may neither ask nor read", async (origin) => {
    const before = await development.send("OPTIONS", "/org/update", { headers: { origin, ...preflight } });
    const asked = await development.send("GET", "/", { headers: { origin } });
    expect([...corsHeaders(before.headers), ...corsHeaders(asked.headers)]).toEqual([]);
    expect(asked.headers.get("vary")).toMatch(/\bOrigin\b/);
  });

  test.each([
    ["https://app.example", ["https://app.example"]],
    ["", []],
    [" , ", []],
  ])("CORS_ORIGINS is all that is allowed where it is set: %p", (given, origins) => {
    expect(testConfig({ CROUPIER_ENV: "development", CORS_ORIGINS: given }).corsOrigins).toEqual(origins);
  });
});

test.each(["*", "null", "app.acme.example", "https://app.acme.example/", "https://a.example, *", "ftp://a.example"])(
  "the service doesn't start with the origin %p",
  (origins) => {
    const settings = { MONGODB_URL: "mongodb://x/", JWT_SECRET_KEY: "gN3vJd0sQyq2cT8mZ1xR5uW7pL4kH6bA" };
    expect(() => readConfig({ ...settings, CORS_ORIGINS: origins })).toThrow("CORS_ORIGINS must be origins");
  },
);
