import { describe, expect, test } from "bun:test";
import { useService } from "../support/service.ts";
import { refuses, type Row } from "../support/wrong-input.ts";

const service = useService();

const missing = (path: string, method = "GET"): Row => ({
  name: `${method} ${path.slice(0, 60)}`,
  status: 404,
  type: "not_found",
  method,
  path,
});
const allowed: Record<string, string> = {
  "/": "GET, HEAD",
  "/health": "GET, HEAD",
  "/readiness": "GET, HEAD",
  "/docs": "GET, HEAD",
  "/docs/swagger-ui-dist/swagger-ui.css": "GET, HEAD",
  "/openapi.json": "GET, HEAD",
  "/org/create": "POST",
  "/org/get": "GET, HEAD",
  "/org/update": "PUT",
  "/org/delete": "DELETE",
  "/admin/login": "POST",
};
const methods = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"];
const wrongMethods = Object.entries(allowed).flatMap(([path, allow]) =>
  methods.filter((method) => !allow.split(", ").includes(method)).map((method) => ({ method, path, allow })),
);

refuses(service, "the framework", {}, [
  missing("/nothing"),
  missing("/nothing", "POST"),
  missing("/nothing", "OPTIONS"),
  missing("/org"),
  missing("/org/"),
  missing("/org/nothing"),
  missing("/org/get/"),
  missing("/ORG/GET?organization_name=acme"),
  missing("/org%2Fget"),
  missing("/admin"),
  missing("/%00"),
  missing("/%ff"),
  missing("/%zz"),
  missing(`/${"a".repeat(8_000)}`),
  missing("/docs/swagger-ui-dist/nothing.js"),
  missing("/docs/swagger-ui-dist/constructor"),
  missing("/docs/swagger-ui-dist/__proto__"),
  missing("/docs/swagger-ui-dist/..%2f..%2fpackage.json"),
  missing("/docs/swagger-ui-dist/swagger-ui.css.map"),
  missing("/.env"),
  {
    ...missing("/nothing", "POST"),
    name: "5 MB at no path",
    status: 413,
    type: "body_too_large",
    body: "x".repeat(5_000_000),
  },
  ...wrongMethods.map(({ method, path }) => ({
    name: `${method} ${path}`,
    status: 405,
    type: "method_not_allowed",
    method,
    path,
  })),
]);

describe("the framework", () => {
  test.each(wrongMethods)("says what is allowed instead of $method $path", async ({ method, path, allow }) => {
    const answer = await service.send(method, path);
    expect(answer.headers.get("allow")).toBe(allow);
  });

  test("answers a problem without its text to HEAD", async () => {
    const answer = await service.send("HEAD", "/org/create");
    expect(answer.status).toBe(405);
    expect(answer.headers.get("content-type")).toBe("application/problem+json");
    expect(answer.text).toBe("");
  });

  test("goes on with the caller's request id, and makes its own when that is none", async () => {
    const given = await service.send("GET", "/nothing", { headers: { "x-request-id": "trace-4711" } });
    expect(given.body.request_id).toBe("trace-4711");
    expect(given.headers.get("x-request-id")).toBe("trace-4711");
    for (const id of ["a b", "ada@example.com", "x".repeat(300), '"><script>']) {
      const own = await service.send("GET", "/nothing", { headers: { "x-request-id": id } });
      expect(own.body.request_id).toMatch(/^[0-9a-f-]{36}$/);
    }
  });
});
