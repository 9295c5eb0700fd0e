import { beforeAll, describe, expect, test } from "bun:test";
import { createApp } from "../../src/app.ts";
import { problemTypes } from "../../src/http/contract/problems.ts";
import { scopes } from "../../src/operator/key.ts";
import { checkValue, resolve, type Schema } from "../support/json-schema.ts";
import { makeOperatorKey, useOperatorKey } from "../support/operator.ts";
import { newcomer, useService } from "../support/service.ts";

const service = useService();
const operatorKey = useOperatorKey(service);

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
/** Responses, and examples of problems, as they are where they are referred to. */
let operations: { method: string; path: string; operation: Operation }[];
const find = (method: string, path: string) =>
  operations.find((each) => each.method === method && each.path === path)!.operation;

beforeAll(async () => {
  const answer = await service.send("GET", "/openapi.json");
  document = answer.body;
  const whole = (part: unknown): any =>
    JSON.parse(JSON.stringify(part), (_name, value) =>
      /^#\/components\/(responses|examples)\//.test(value?.$ref) ? whole(resolve(document, value.$ref)) : value,
    );
  operations = Object.entries<Record<string, Operation>>(whole(document.paths)).flatMap(([path, item]) =>
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

  test("the description has every route of the app but those of the documentation itself, and no other", () => {
    const routes = createApp(service.running.deps)
      .routes.filter(({ method, path }) => method !== "ALL" && !/^\/(docs|redoc|openapi\.json)/.test(path))
      .map(({ method, path }) => `${method.toLowerCase()} ${path.replace(/:(\w+)/g, "{$1}")}`);
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

  test("resolves every reference, has no component twice, and uses every one it has", () => {
    const references = [...JSON.stringify(document).matchAll(/"\$ref":"([^"]+)"/g)].map(([, to = ""]) => to);
    for (const reference of references) expect(resolve(document, reference)).toBeObject();
    const { schemas, responses, examples } = document.components;
    const names = Object.entries<object>({ schemas, responses, examples }).flatMap(([kind, components]) => {
      const texts = Object.values(components).map((component) => JSON.stringify(component));
      expect(new Set(texts).size).toBe(texts.length);
      return Object.keys(components).map((name) => `#/components/${kind}/${name}`);
    });
    expect(names.sort()).toEqual([...new Set(references)].sort());
    for (const name of Object.keys(schemas)) expect(name).not.toMatch(/\d$|Output$|Input$|^(Document|Index)$/);
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

  test("says of each answer with a body what type it has, the page for a lost password being HTML", () => {
    // 431 is answered before a request gets to the service.
    const bodiless = operations.flatMap(({ method, path, operation }) =>
      Object.entries(operation.responses)
        .filter(([status, { content }]) => content === undefined && !["204", "304", "431"].includes(status))
        .map(([status]) => `${method} ${path} ${status}`),
    );
    expect(bodiless).toEqual([]);
    expect(Object.keys(find("get", "/admin/recovery").responses["200"]!.content!)).toEqual(["text/html"]);
  });

  test("problems are described with the titles and statuses of the one table, and only those", () => {
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
    ["get", "/.well-known/jwks.json", [200]],
    ["get", "/health", [200, 503]],
    ["get", "/readiness", [200, 503]],
    ["post", "/org/create", [201, 400, 413, 422, 429, 500, 503]],
    ["get", "/org/get", [200, 404, 422, 429, 500, 503]],
    ["put", "/org/update", [200, 400, 401, 403, 404, 413, 422, 429, 500, 503]],
    ["delete", "/org/delete", [204, 401, 403, 404, 413, 422, 429, 500, 503]],
    ["post", "/admin/login", [200, 401, 403, 413, 422, 429, 500, 503]],
    ["get", "/admin/me", [200, 401, 429, 500, 503]],
    ["post", "/admin/refresh", [200, 401, 409, 413, 422, 429, 500, 503]],
    ["post", "/admin/recovery", [204, 401, 403, 413, 422, 429, 500, 503]],
    ["post", "/platform/organizations/{id}/recovery", [201, 401, 403, 404, 413, 422, 429, 500, 503]],
    ["get", "/admin/sessions", [200, 401, 429, 500, 503]],
    ["delete", "/admin/sessions/{id}", [204, 401, 404, 413, 422, 429, 500, 503]],
    ["post", "/admin/logout", [204, 401, 413, 429, 500, 503]],
    ["post", "/admin/logout-all", [204, 401, 413, 429, 500, 503]],
    ["post", "/org/documents", [201, 401, 409, 413, 422, 429, 500, 503]],
    ["get", "/org/documents", [200, 401, 422, 429, 500, 503]],
    ["post", "/org/documents/find", [200, 401, 413, 422, 429, 500, 503]],
    ["post", "/org/documents/count", [200, 401, 413, 422, 429, 500, 503]],
    ["post", "/org/documents/aggregate", [200, 401, 413, 422, 429, 500, 503]],
    ["get", "/org/documents/{id}", [200, 304, 401, 404, 412, 422, 429, 500, 503]],
    ["put", "/org/documents/{id}", [200, 401, 404, 409, 412, 413, 422, 429, 500, 503]],
    ["patch", "/org/documents/{id}", [200, 401, 404, 409, 412, 413, 422, 429, 500, 503]],
    ["delete", "/org/documents/{id}", [204, 401, 404, 412, 413, 422, 429, 500, 503]],
    ["get", "/org/indexes", [200, 401, 429, 500, 503]],
    ["post", "/org/indexes", [201, 401, 404, 409, 413, 422, 429, 500, 503]],
    ["delete", "/org/indexes/{name}", [204, 401, 404, 413, 422, 429, 500, 503]],
    ["post", "/platform/organizations/{id}/moves", [202, 401, 403, 404, 409, 413, 422, 429, 500, 503]],
    ["get", "/platform/operations", [200, 401, 403, 422, 429, 500, 503]],
    ["get", "/platform/operations/{id}", [200, 401, 403, 404, 422, 429, 500, 503]],
    ["post", "/platform/operations/{id}/resume", [202, 401, 403, 404, 409, 413, 422, 429, 500, 503]],
    ["post", "/platform/operations/{id}/cancel", [202, 401, 403, 404, 409, 413, 422, 429, 500, 503]],
    ["get", "/org/audit", [200, 401, 403, 422, 429, 500, 503]],
    ["get", "/platform/audit", [200, 401, 403, 422, 429, 500, 503]],
    ["get", "/platform/organizations", [200, 401, 403, 422, 429, 500, 503]],
    ["get", "/platform/organizations/{id}", [200, 401, 403, 404, 422, 429, 500, 503]],
    ["post", "/platform/organizations/{id}/suspend", [200, 401, 403, 404, 413, 422, 429, 500, 503]],
    ["post", "/platform/organizations/{id}/reactivate", [200, 401, 403, 404, 413, 422, 429, 500, 503]],
    ["post", "/platform/organizations/{id}/revoke-tokens", [204, 401, 403, 404, 413, 422, 429, 500, 503]],
    ["get", "/org/usage", [200, 401, 403, 404, 429, 500, 503]],
    ["get", "/org/allow-list", [200, 401, 403, 404, 429, 500, 503]],
    ["put", "/org/allow-list", [200, 401, 403, 404, 413, 422, 429, 500, 503]],
    ["put", "/platform/organizations/{id}/allow-list", [200, 401, 403, 404, 413, 422, 429, 500, 503]],
  ] as const)("describes every status that %s %s can answer with", (method, path, statuses) => {
    const { responses } = find(method, path);
    for (const status of statuses) expect(responses[status]).toBeObject();
    for (const [status, { content, headers }] of Object.entries(responses)) {
      // The two that ask after the service say how it is in their own words, also when it is not well.
      const own = Number(status) < 300 || (status === "503" && path.split("/").length === 2);
      const types = ["204", "304", "431"].includes(status)
        ? []
        : [own ? "application/json" : "application/problem+json"];
      expect({ status, types: Object.keys(content ?? {}) }).toEqual({ status, types });
      if (status === "401") expect(headers).toContainKey("WWW-Authenticate");
    }
  });

  test("names every type of problem that there is, and no other", () => {
    const { type } = resolve(document, "#/components/schemas/Problem").properties;
    expect(type.enum).toEqual(Object.keys(problemTypes).map((code) => `urn:croupier:problem:${code}`));
  });

  test("asks for the access token where it is needed, and nowhere else", () => {
    expect(document.components.securitySchemes).toEqual({
      accessToken: { type: "http", scheme: "bearer", bearerFormat: "JWT" },
      operatorKey: { type: "http", scheme: "bearer", description: expect.any(String) },
    });
    for (const { path, operation } of operations) {
      const needed =
        /^\/(org\/(update|delete|documents|indexes|audit|allow-list|usage)|admin\/(me|logout|logout-all|sessions))\b/.test(
          path,
        );
      const tenants = needed ? [{ accessToken: [] }] : [];
      const operators = [{ operatorKey: [expect.stringMatching(new RegExp(`^(${scopes.join("|")})$`))] }];
      const expected = path.startsWith("/platform/") ? operators : tenants;
      expect({ path, security: operation.security }).toEqual({ path, security: expected });
    }
  });

  test("has patterns that browsers, Python and Rust read, and the limits that the service checks", () => {
    const patterns = [...JSON.stringify(document).matchAll(/"pattern":("(?:[^"\\]|\\.)*")/g)];
    for (const [, text = ""] of patterns) {
      const pattern = JSON.parse(text);
      expect(() => new RegExp(pattern, "u")).not.toThrow();
      // Python has no classes of characters by name, Rust no look-around.
      expect(pattern).not.toMatch(/\\p|\(\?[=!<]/i);
    }
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
    ["post", "/org/create", { ...good, password: "Horse-7" }],
    ["post", "/org/create", { ...good, password: "Correct\0Horse-7" }],
    ["post", "/org/create", { ...good, email: "ada\0@described.example" }],
    ["post", "/org/create", { ...good, organization_name: "described\n" }],
    ["put", "/org/update", {}],
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
    const { token, id: organizationId, ...own } = await service.join();
    const signedIn = await service.send("POST", "/admin/login", { body: { email: own.email, password: own.password } });
    const another = signedIn.body.access_token;
    const shut = await service.join();
    const shutsSignIn = { email: shut.email, password: shut.password };
    const key = operatorKey();
    const readers = await makeOperatorKey(service.db, ["organizations:read"]);
    const noId = "0123456789abcdef01234567";
    type Options = { at?: string; query?: string } & Parameters<typeof service.send>[2];
    const calls = [
      ["get", "/", {}],
      ["get", "/.well-known/jwks.json", {}],
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
      ["post", "/admin/refresh", { body: { refresh_token: signedIn.body.refresh_token } }],
      ["post", "/admin/refresh", { body: { refresh_token: "x" } }],
      ["post", "/admin/refresh", { body: { refresh_token: 1 } }],
      ["get", "/admin/sessions", { token }],
      ["get", "/admin/sessions", {}],
      ["delete", "/admin/sessions/{id}", { token, at: "x" }],
      ["delete", "/admin/sessions/{id}", { token, at: "0b9f7a3e-3c1d-4d0e-9f5b-6a2c8d7e1f40" }],
      ["get", "/admin/me", { token }],
      ["get", "/admin/me", {}],
      ["post", "/admin/logout", { token: another, body: "x".repeat(2_000_000) }],
      ["post", "/admin/logout", { token: another }],
      ["post", "/admin/logout-all", { token: another }],
      ["put", "/org/update", { body: { password: "Another-Horse-8" } }],
      ["put", "/org/update", { token, body: { email: who.email } }],
      ["put", "/org/update", { token, body: { email: newcomer().email } }],
      ["put", "/org/update", { token, body: {} }],
      ["get", "/org/usage", { token }],
      ["get", "/org/usage", {}],
      ["get", "/org/allow-list", { token }],
      ["get", "/org/allow-list", {}],
      ["put", "/org/allow-list", { token, body: { cidrs: ["127.0.0.1", "::1"] } }],
      ["put", "/org/allow-list", { token, body: { cidrs: ["192.0.2.0/24"] } }],
      [
        "put",
        "/platform/organizations/{id}/allow-list",
        { token: key, at: shut.id, body: { cidrs: ["192.0.2.0/24"] } },
      ],
      ["get", "/org/allow-list", { token: shut.token }],
      ["get", "/org/documents", { token: shut.token }],
      ["post", "/admin/login", { body: shutsSignIn }],
      ["put", "/platform/organizations/{id}/allow-list", { token: key, at: noId, body: { cidrs: [] } }],
      ["put", "/org/allow-list", { token, body: { cidrs: [] } }],
      ["post", "/org/documents", { token, body: { _id: "a", n: 1 } }],
      ["post", "/org/documents", { token, body: [{ _id: "b" }, { n: 2 }] }],
      ["post", "/org/documents", { token, body: [{ _id: "b" }, { n: 3 }] }],
      ["post", "/org/documents", { token, body: { _id: null } }],
      ["post", "/org/documents", { body: {} }],
      ["get", "/org/documents", { token, query: "?limit=1" }],
      ["get", "/org/documents", { token, query: "?limit=0" }],
      ["get", "/org/documents", { token, query: "?cursor=x" }],
      ["post", "/org/documents/find", { token, body: { filter: { n: { $gte: 1 } }, sort: "-n" } }],
      ["post", "/org/documents/find", { token, body: { filter: { n: { $where: "1" } } } }],
      ["post", "/org/documents/find", { token, body: { filter: { n: { $regex: "(" } } } }],
      ["post", "/org/documents/find", { token, body: "x".repeat(2_000_000) }],
      ["post", "/org/documents/count", { token, body: {} }],
      ["post", "/org/documents/aggregate", { token, body: { pipeline: [{ $count: "n" }] } }],
      ["post", "/org/documents/aggregate", { token, body: { pipeline: [{ $set: { n: { $toInt: "x" } } }] } }],
      ["post", "/org/documents/aggregate", { token, body: { pipeline: [{ $set: { n: { $range: [0, "$n"] } } }] } }],
      ["get", "/org/documents/{id}", { token, at: "a" }],
      ["get", "/org/documents/{id}", { token, at: "a", headers: { "if-none-match": "*" } }],
      ["get", "/org/documents/{id}", { token, at: "a", headers: { "if-none-match": "x" } }],
      ["get", "/org/documents/{id}", { token, at: "nobody" }],
      ["put", "/org/documents/{id}", { token, at: "a", body: { n: 5 } }],
      ["put", "/org/documents/{id}", { token, at: "a", body: { n: 5 }, headers: { "if-match": '"1-x"' } }],
      ["patch", "/org/documents/{id}", { token, at: "a", body: { n: 6 } }],
      ["patch", "/org/documents/{id}", { token, at: "nobody", body: { n: 6 } }],
      ["delete", "/org/documents/{id}", { token, at: "a" }],
      ["delete", "/org/documents/{id}", { token, at: "a" }],
      ["post", "/org/indexes", { token, body: { key: { n: 1 } } }],
      ["post", "/org/indexes", { token, body: { key: { m: 1 }, name: "n_1" } }],
      ["post", "/org/indexes", { token, body: { key: {} } }],
      ["get", "/org/indexes", { token }],
      ["delete", "/org/indexes/{name}", { token, at: "n_1" }],
      ["delete", "/org/indexes/{name}", { token, at: "n_1" }],
      ["post", "/platform/organizations/{id}/moves", { at: organizationId, token, body: { tier: "starter" } }],
      ["post", "/platform/organizations/{id}/moves", { at: organizationId, token: key, body: { tier: "gold" } }],
      ["post", "/platform/organizations/{id}/moves", { at: noId, token: readers, body: { tier: "starter" } }],
      ["post", "/platform/organizations/{id}/moves", { at: noId, token: key, body: { tier: "starter" } }],
      [
        "post",
        "/platform/organizations/{id}/moves",
        { at: organizationId, token: key, body: { tier: "professional" } },
      ],
      ["post", "/platform/organizations/{id}/moves", { at: organizationId, token: key, body: { tier: "starter" } }],
      ["get", "/platform/organizations", { token: key, query: "?limit=2" }],
      ["get", "/platform/organizations", { token: key, query: "?limit=0" }],
      ["get", "/platform/organizations/{id}", { token: key, at: shut.id }],
      ["get", "/platform/organizations/{id}", { token: key, at: noId }],
      ["post", "/platform/organizations/{id}/suspend", { token: key, at: shut.id, body: { reason: "not paid" } }],
      ["post", "/platform/organizations/{id}/suspend", { token: readers, at: shut.id, body: {} }],
      ["post", "/admin/login", { body: shutsSignIn }],
      ["post", "/platform/organizations/{id}/revoke-tokens", { token: key, at: shut.id }],
      ["post", "/platform/organizations/{id}/revoke-tokens", { token: key, at: noId }],
      ["post", "/platform/organizations/{id}/reactivate", { token: key, at: shut.id }],
      ["post", "/platform/organizations/{id}/reactivate", { token: key, at: noId }],
      ["get", "/platform/operations", { token: key, query: `?organization_id=${organizationId}` }],
      ["get", "/platform/operations/{id}", { token: key, at: noId }],
      ["post", "/platform/operations/{id}/resume", { token: key, at: noId }],
      ["post", "/platform/operations/{id}/cancel", { token: key, at: noId }],
      ["get", "/org/audit", { token, query: "?limit=200" }],
      ["get", "/org/audit", { token, query: "?act=everything" }],
      ["get", "/org/audit", { token, query: "?cursor=x" }],
      ["get", "/platform/audit", { token: key, query: "?kind=session&from=2026-01-01T00:00:00Z" }],
      ["get", "/platform/audit", { token }],
      ["delete", "/org/delete", { token, body: "x".repeat(2_000_000) }],
      ["delete", "/org/delete", { token }],
      ["delete", "/org/delete", { token }],
    ] as [string, string, Options][];
    for (const [method, path, { at = "", query = "", ...options }] of calls) {
      const url = path.replace(/\{\w+\}/, at) + query;
      const answer = await service.send(method.toUpperCase(), url, options);
      const described = find(method, path).responses[answer.status];
      const type = answer.headers.get("content-type")?.split(";")[0];
      const place = `${method} ${path} ${answer.status} ${type}`;
      expect({ place, described }).toEqual({ place, described: expect.anything() });
      if (answer.text === "") continue;
      const { schema } = described!.content![type!]!;
      expect({ place, wrong: checkValue(document, schema!, answer.body) }).toEqual({ place, wrong: [] });
    }
  }, 60_000);
});
