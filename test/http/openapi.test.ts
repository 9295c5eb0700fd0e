import { beforeAll, describe, expect, test } from "bun:test";
import { createApp } from "../../src/app.ts";
import { problemTypes } from "../../src/http/problems.ts";
import { checkValue, resolve, type Schema } from "../support/json-schema.ts";
import { newcomer, useService } from "../support/service.ts";

const service = useService();

type Media = { schema?: Schema; example?: unknown; examples?: Record<string, { value: unknown }> };
type Response = { description?: string; content?: Record<string, Media>; headers?: Record<string, unknown> };
type Operation = {
  operationId: string;
  summary: string;
  tags: string[];
  security?: Record<string, string[]>[];
  parameters?: { name: string; in: string; required: boolean; schema: Schema }[];
  requestBody?: { required: boolean; content: Record<string, Media> };
  responses: Record<string, Response>;
};
let document: any;
let operations: { method: string; path: string; operation: Operation }[];
const find = (method: string, path: string) =>
  operations.find((each) => each.method === method && each.path === path)!.operation;

beforeAll(async () => {
  const answer = await service.send("GET", "/openapi.json");
  document = answer.body;
  operations = Object.entries<Record<string, Operation>>(document.paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]) => ({ method, path, operation })),
  );
});

const medias = () =>
  operations.flatMap(({ operation }) => [
    ...Object.values(operation.requestBody?.content ?? {}),
    ...Object.values(operation.responses).flatMap(({ content }) => Object.values(content ?? {})),
  ]);

describe("/openapi.json", () => {
  test("is OpenAPI 3.1 with a title, a version, and paths that start with a slash", () => {
    expect(document.openapi).toMatch(/^3\.1\.\d+$/);
    expect(document.info).toMatchObject({ title: expect.any(String), version: expect.stringMatching(/^\d+\.\d+/) });
    for (const path of Object.keys(document.paths)) expect(path).toMatch(/^\//);
  });

  test("has every route of the app but those of the documentation itself, and no other", () => {
    const routes = createApp(service.running.deps)
      .routes.filter(({ method, path }) => method !== "ALL" && !/^\/(docs|openapi\.json)/.test(path))
      .map(({ method, path }) => `${method.toLowerCase()} ${path}`);
    expect(operations.map(({ method, path }) => `${method} ${path}`).sort()).toEqual([...new Set(routes)].sort());
  });

  test("names each operation once, with a summary, a tag, and answers that say something", () => {
    const ids = operations.map(({ operation }) => operation.operationId);
    expect(new Set(ids).size).toBe(ids.length);
    for (const { operation } of operations) {
      expect(operation.operationId).toMatch(/^[a-z][A-Za-z]+$/);
      expect(operation.summary.length).toBeGreaterThan(5);
      expect(operation.tags.length).toBeGreaterThan(0);
      for (const [status, { description }] of Object.entries(operation.responses)) {
        expect(status).toMatch(/^[2-5]\d\d$/);
        expect(description!.length).toBeGreaterThan(1);
      }
    }
  });

  test("resolves every reference, has no schema twice, and uses every one it has", () => {
    const references = [...JSON.stringify(document).matchAll(/"\$ref":"([^"]+)"/g)].map(([, to = ""]) => to);
    for (const reference of references) expect(resolve(document, reference)).toBeObject();
    const schemas = Object.entries<Schema>(document.components.schemas);
    const texts = schemas.map(([, schema]) => JSON.stringify(schema));
    expect(new Set(texts).size).toBe(texts.length);
    expect(schemas.map(([name]) => `#/components/schemas/${name}`).sort()).toEqual([...new Set(references)].sort());
    for (const [name] of schemas) expect(name).not.toMatch(/\d$|Output$|Input$/);
  });

  test("has no object written inline where a component says the same", () => {
    for (const media of medias()) expect(media.schema).toEqual({ $ref: expect.any(String) });
  });

  test("shows an example of every answer and of every request, and each is valid by its own schema", () => {
    for (const { schema, examples, example } of medias()) {
      const shown = Object.values(examples ?? {}).map(({ value }) => value);
      if (example !== undefined) shown.push(example);
      expect(shown.length).toBeGreaterThan(0);
      for (const value of shown) expect(checkValue(document, schema!, value)).toEqual([]);
    }
  });

  test("describes problems with the titles and statuses of the one table, and names only those", () => {
    for (const { operation } of operations) {
      for (const [status, { content }] of Object.entries(operation.responses)) {
        for (const [code, { value }] of Object.entries(content?.["application/problem+json"]?.examples ?? {})) {
          expect(value).toMatchObject({
            type: `urn:croupier:problem:${code}`,
            status: Number(status),
            title: problemTypes[code as keyof typeof problemTypes].title,
          });
        }
      }
    }
  });

  test.each([
    ["get", "/", [200]],
    ["get", "/health", [200, 503]],
    ["get", "/readiness", [200, 503]],
    ["post", "/org/create", [201, 400, 413, 422, 500, 503]],
    ["get", "/org/get", [200, 404, 422, 500, 503]],
    ["put", "/org/update", [200, 400, 401, 404, 413, 422, 500, 503]],
    ["delete", "/org/delete", [204, 401, 404, 413, 500, 503]],
    ["post", "/admin/login", [200, 401, 413, 422, 500, 503]],
  ] as const)("describes every status that %s %s can answer with", (method, path, statuses) => {
    const { responses } = find(method, path);
    for (const status of statuses) expect(responses[status]).toBeObject();
    for (const [status, { content, headers }] of Object.entries(responses)) {
      // The two that ask after the service say how it is in their own words, also when it is not well.
      const own = Number(status) < 300 || (status === "503" && !path.startsWith("/org") && !path.startsWith("/admin"));
      const types = status === "204" ? [] : [own ? "application/json" : "application/problem+json"];
      expect({ status, types: Object.keys(content ?? {}) }).toEqual({ status, types });
      if (status === "401") expect(headers).toContainKey("WWW-Authenticate");
    }
  });

  test("asks for the access token where it is needed, and nowhere else", () => {
    expect(document.components.securitySchemes).toEqual({
      accessToken: { type: "http", scheme: "bearer", bearerFormat: "JWT" },
    });
    const secured = operations.filter(({ operation }) => operation.security).map(({ path }) => path);
    expect(secured).toEqual(["/org/update", "/org/delete"]);
  });

  test("has patterns that browsers read, and the limits that the service checks", () => {
    const patterns = [...JSON.stringify(document).matchAll(/"pattern":("(?:[^"\\]|\\.)*")/g)];
    for (const [, pattern = ""] of patterns) expect(() => new RegExp(JSON.parse(pattern), "u")).not.toThrow();
    const request = resolve(
      document,
      find("post", "/org/create").requestBody!.content["application/json"]!.schema!.$ref!,
    );
    expect(request).toMatchObject({
      required: ["organization_name", "email", "password"],
      additionalProperties: false,
      properties: { organization_name: { minLength: 3, maxLength: 50 }, password: { minLength: 8 } },
    });
    expect(find("get", "/org/get").parameters).toMatchObject([
      { name: "organization_name", in: "query", required: true },
    ]);
  });

  const good = { organization_name: "described", email: "ada@described.example", password: "Correct-Horse-7" };
  test.each([
    ["post", "/org/create", { ...good, password: "correct-horse-7" }],
    ["post", "/org/create", { ...good, password: "CORRECT-HORSE-7" }],
    ["post", "/org/create", { ...good, password: "Correct-Horse" }],
    ["post", "/org/create", { ...good, password: "Correct\0Horse-7" }],
    ["post", "/org/create", { ...good, email: "ada\0@described.example" }],
    ["post", "/org/create", { ...good, organization_name: "described\n" }],
    ["put", "/org/update", {}],
    ["put", "/org/update", { organization_name: null, email: null, password: null }],
    ["post", "/admin/login", { email: "ada@described.example", password: "\uFFFD" }],
    ["post", "/admin/login", { email: "ada\0@described.example", password: "Correct-Horse-7" }],
  ] as const)("what %s %s refuses is refused by its description too: %j", async (method, path, body) => {
    const { schema } = find(method, path).requestBody!.content["application/json"]!;
    expect(checkValue(document, schema!, body)).not.toEqual([]);
    const token = method === "put" && { token: (await service.join()).token };
    expect((await service.send(method.toUpperCase(), path, { body, ...token })).status).toBe(422);
  });

  test("what the service answers is what it describes", async () => {
    const who = newcomer();
    const { token } = await service.join();
    const calls = [
      ["get", "/", {}],
      ["get", "/health", {}],
      ["get", "/readiness", {}],
      ["post", "/org/create", { body: who }],
      ["post", "/org/create", { body: who }],
      ["post", "/org/create", { body: {} }],
      ["post", "/org/create", { body: "x".repeat(2_000_000) }],
      ["get", "/org/get", { query: `?organization_name=${who.organization_name}` }],
      ["get", "/org/get", { query: "?organization_name=nobody-has-this" }],
      ["get", "/org/get", {}],
      ["post", "/admin/login", { body: { email: who.email, password: who.password } }],
      ["post", "/admin/login", { body: { email: who.email, password: "wrong" } }],
      ["post", "/admin/login", { body: "{" }],
      ["put", "/org/update", { body: { password: "Another-Horse-8" } }],
      ["put", "/org/update", { token, body: { email: who.email } }],
      ["put", "/org/update", { token, body: { email: newcomer().email } }],
      ["put", "/org/update", { token, body: {} }],
      ["delete", "/org/delete", { token, body: "x".repeat(2_000_000) }],
      ["delete", "/org/delete", { token }],
      ["delete", "/org/delete", { token }],
    ] as [string, string, { query?: string; body?: unknown; token?: string }][];
    for (const [method, path, { query = "", ...options }] of calls) {
      const answer = await service.send(method.toUpperCase(), path + query, options);
      const described = find(method, path).responses[answer.status];
      const type = answer.headers.get("content-type")?.split(";")[0];
      const place = `${method} ${path} ${answer.status} ${type}`;
      expect({ place, described }).toEqual({ place, described: expect.anything() });
      if (answer.status === 204) continue;
      const { schema } = described!.content![type!]!;
      expect({ place, wrong: checkValue(document, schema!, answer.body) }).toEqual({ place, wrong: [] });
    }
  });
});
