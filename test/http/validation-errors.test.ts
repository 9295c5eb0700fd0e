import { beforeAll, describe, expect, test } from "bun:test";
import { createLogger } from "../../src/log.ts";
import { takeOver } from "../../src/takeover/take-over.ts";
import { plantLegacy } from "../support/legacy.ts";
import { goodPassword, newcomer, useService } from "../support/service.ts";

const missing = { msg: "field required", type: "value_error.missing" };
const text = { msg: "str type expected", type: "type_error.str" };
const value = (msg: string | RegExp) => ({ msg: expect.stringMatching(msg), type: "value_error" });
const object = { loc: ["body"], msg: "value is not a valid dict", type: "type_error.dict" };
const noJson = { loc: ["body", 0], msg: "the body is not JSON", type: "value_error.jsondecode" };

const good = { organization_name: "acme-v1", email: "ada@acme.example", password: goodPassword };
const signIn = { email: good.email, password: goodPassword };

const create = ["POST", "/org/create"] as const;
const get = "GET";
const update = ["PUT", "/org/update"] as const;
const login = ["POST", "/admin/login"] as const;

describe("VALIDATION_ERRORS=v1", () => {
  const service = useService({ VALIDATION_ERRORS: "v1" });
  let token: string;
  beforeAll(async () => {
    token = (await service.join("first")).token;
  });
  const ask = (method: string, path: string, body?: unknown, headers = {}) =>
    service.send(method, path, { token, ...(body !== undefined && { body }), headers });

  test.each<[string, string, string, unknown, object[]]>([
    [
      "a short password",
      ...create,
      { ...good, password: "Ab1" },
      [{ loc: ["body", "password"], ...value("8 or more") }],
    ],
    [
      "a wrong name",
      ...create,
      { ...good, organization_name: "a b" },
      [{ loc: ["body", "organization_name"], ...value("3 to 50") }],
    ],
    ["a wrong email", ...create, { ...good, email: "ada" }, [{ loc: ["body", "email"], ...value("email address") }]],
    ["a number", ...create, { ...good, email: 5 }, [{ loc: ["body", "email"], ...text }]],
    [
      "nothing in it",
      ...create,
      {},
      ["organization_name", "email", "password"].map((name) => ({ loc: ["body", name], ...missing })),
    ],
    [
      "one too many",
      ...create,
      { ...good, tier: "x" },
      [{ loc: ["body", "tier"], msg: "extra fields not permitted", type: "value_error.extra" }],
    ],
    [
      "a name with a slash",
      ...create,
      { ...good, "a/b~c": 1 },
      [{ loc: ["body", "a/b~c"], msg: "extra fields not permitted", type: "value_error.extra" }],
    ],
    ["an array", ...create, [good], [object]],
    ["no JSON", ...create, "{", [noJson]],
    ["no body", ...create, "", [noJson]],
    [
      "a wrong name",
      get,
      "/org/get?organization_name=a",
      undefined,
      [{ loc: ["query", "organization_name"], ...value("3 to 50") }],
    ],
    ["no name", get, "/org/get", undefined, [{ loc: ["query", "organization_name"], ...missing }]],
    ["a short password", ...update, { password: "Ab1" }, [{ loc: ["body", "password"], ...value("8 or more") }]],
    ["nothing to change", ...update, {}, [{ loc: ["body"], ...value("must contain at least one change") }]],
    ["no JSON", ...update, "{", [noJson]],
    ["no password", ...login, { email: signIn.email }, [{ loc: ["body", "password"], ...missing }]],
    ["a wrong email", ...login, { ...signIn, email: "ada" }, [{ loc: ["body", "email"], ...value("email address") }]],
    ["no JSON", ...login, "{", [noJson]],
  ])("%s: %s %s answers as the first Croupier did", async (_what, method, path, body, detail) => {
    const answer = await ask(method, path, body);
    expect(answer.status).toBe(422);
    expect(answer.headers.get("content-type")).toStartWith("application/json");
    expect(answer.body).toEqual({ detail });
  });

  test("a body that isn't sent as JSON is no object", async () => {
    const answer = await ask(...create, JSON.stringify(good), { "content-type": "text/plain" });
    expect(answer.body).toEqual({ detail: [object] });
  });

  test("other statuses and other endpoints answer with problem documents", async () => {
    for (const [method, path, body, status] of [
      ["POST", "/admin/login", { ...signIn, email: newcomer().email }, 401],
      ["GET", "/org/get?organization_name=nobody-has-it", undefined, 404],
      ["POST", "/admin/refresh", {}, 422],
      ["POST", "/org/documents", "[]", 422],
    ] as const) {
      const answer = await ask(method, path, body);
      expect(answer.status).toBe(status);
      expect(answer.headers.get("content-type")).toBe("application/problem+json");
      expect(typeof answer.body.detail).toBe("string");
    }
  });

  test("/openapi.json describes it for these five only", async () => {
    const { paths } = (await ask("GET", "/openapi.json")).body;
    expect(paths["/org/create"].post.responses[422].content["application/json"].schema.$ref).toEndWith(
      "HTTPValidationError",
    );
    expect(paths["/org/get"].get.responses[422].content["application/json"].schema.$ref).toEndWith(
      "HTTPValidationError",
    );
    expect(paths["/admin/refresh"].post.responses[422].$ref).toStartWith("#/components/responses/");
  });
});

describe("without VALIDATION_ERRORS", () => {
  const service = useService();

  test("a 422 of these five is a problem document", async () => {
    const { headers, body } = await service.send(...create, { body: {} });
    expect(headers.get("content-type")).toBe("application/problem+json");
    expect(body.type).toBe("urn:croupier:problem:invalid_request");
  });

  test("taking a database of the first Croupier over says once that the setting exists", async () => {
    const lines: string[] = [];
    const log = createLogger("info", { write: (line) => void lines.push(line) });
    await plantLegacy(service.db, "taken-over", "taken-over@example.com");
    for (let start = 0; start < 2; start++) await takeOver({ db: service.db, log });
    expect(lines.filter((line) => line.includes("VALIDATION_ERRORS=v1"))).toHaveLength(1);
  });
});
