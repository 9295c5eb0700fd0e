import { describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { useService } from "../support/service.ts";

const service = useService();
const ask = (path: string) => service.send("GET", path);

describe("the service", () => {
  test("says what it is and where to go on, and every link leads somewhere", async () => {
    const { status, body } = await ask("/");
    expect(status).toBe(200);
    expect(body).toEqual({
      name: "croupier",
      version: expect.stringMatching(/^\d+\.\d+\.\d+$/),
      message: expect.stringMatching(/\w+/),
      docs: "/docs",
      redoc: "/redoc",
      links: { docs: "/docs", openapi: "/openapi.json", health: "/health" },
    });
    for (const link of [body.docs, body.redoc]) expect((await ask(link)).text).toContain("swagger-ui");
    for (const link of Object.values<string>(body.links)) expect((await ask(link)).status).toBe(200);
  });

  test("is healthy and ready", async () => {
    const { version } = (await ask("/")).body;
    const health = await ask("/health");
    expect(health.status).toBe(200);
    expect(health.body).toEqual({ status: "healthy", service: "croupier", version, database: "connected" });
    const readiness = await ask("/readiness");
    expect([readiness.status, readiness.body]).toEqual([200, { status: "ready" }]);
  });

  test("every answer has the headers that protect a browser", async () => {
    for (const path of ["/", "/nothing", "/org/get", "/docs"]) {
      const { headers } = await ask(path);
      expect(headers.get("x-content-type-options")).toBe("nosniff");
      expect(headers.get("content-security-policy")).toContain("default-src 'none'");
      expect(headers.get("content-security-policy")).toContain("frame-ancestors 'none'");
      expect(headers.get("x-request-id")).toMatch(/^[0-9a-f-]{36}$/);
      expect(headers.get("x-powered-by")).toBeNull();
      expect(headers.get("server")).toBeNull();
    }
  });

  test("answers HEAD as GET without a body", async () => {
    for (const path of ["/", "/health", "/docs", "/openapi.json"]) {
      const answer = await service.send("HEAD", path);
      expect([answer.status, answer.text]).toEqual([200, ""]);
    }
  });
});

describe("GET /docs", () => {
  /** Every address that a page names in an attribute or in a call. */
  const addresses = (page: string) =>
    [...page.matchAll(/(?:src|href|url|action)\s*[=:]\s*["']([^"']*)["']/gi)].map(([, address = ""]) => address);

  test("names files of its own origin only, and serves each of them", async () => {
    const page = await ask("/docs");
    expect(page.status).toBe(200);
    expect(page.headers.get("content-type")).toStartWith("text/html");
    expect(page.text).not.toMatch(/\/\/[a-z]/i);
    const named = addresses(page.text).filter((address) => !address.startsWith("data:"));
    expect(named).toHaveLength(3);
    for (const address of named) {
      expect(address).toMatch(/^\/[^/]/);
      expect((await ask(address)).status).toBe(200);
    }
  });

  test("serves script and style as what they are, and they fetch nothing from elsewhere when they are loaded", async () => {
    const [script, style] = await Promise.all([
      ask("/docs/swagger-ui-dist/swagger-ui-bundle.js"),
      ask("/docs/swagger-ui-dist/swagger-ui.css"),
    ]);
    expect(script.headers.get("content-type")).toStartWith("text/javascript");
    expect(script.text).toContain("SwaggerUIBundle");
    expect(style.headers.get("content-type")).toStartWith("text/css");
    expect(style.text).not.toMatch(/@import|url\(\s*["']?(?:https?:)?\/\//i);
  });

  test("GET /docs has a policy of its own that allows its files and its one inline script by hash, nothing else", async () => {
    const { headers, text } = await ask("/docs");
    const policy = Object.fromEntries(
      headers
        .get("content-security-policy")!
        .split("; ")
        .map((directive) => [directive.split(" ")[0], directive.split(" ").slice(1)]),
    );
    const inline = [...text.matchAll(/<script(?![^>]*\bsrc=)[^>]*>([\s\S]*?)<\/script>/g)].map(([, code = ""]) => code);
    expect(inline).toHaveLength(1);
    const hash = createHash("sha256").update(inline[0]!).digest("base64");
    expect(policy["script-src"]).toEqual(["'self'", `'sha256-${hash}'`]);
    expect(policy["default-src"]).toEqual(["'none'"]);
    expect(policy["connect-src"]).toEqual(["'self'"]);
    expect(text).not.toMatch(/\son\w+=/i);
    expect(headers.getSetCookie()).toEqual([]);
  });
});
