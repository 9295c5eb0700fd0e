import { beforeAll, expect, test } from "bun:test";
import type { Schema } from "../support/json-schema.ts";
import { makeOperatorKey } from "../support/operator.ts";
import { useService } from "../support/service.ts";

const service = useService();
const path = "/openapi.json";

type Parameter = { name: string; in: string; required?: boolean; example?: unknown; schema: Schema };
let operations: { method: string; path: string; parameters: Parameter[] }[];
beforeAll(async () => {
  const { paths } = (await service.send("GET", path)).body;
  operations = Object.entries<Record<string, { parameters?: Parameter[] }>>(paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, { parameters = [] }]) => ({ method, path, parameters })),
  );
});

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
