import { beforeAll, expect, test } from "bun:test";
import { createApp } from "../../src/app.ts";
import { type Scope, scopes } from "../../src/operator/key.ts";
import { makeOperatorKey } from "../support/operator.ts";
import { expectProblem } from "../support/problem.ts";
import { useService } from "../support/service.ts";

const service = useService();

type Route = { method: string; path: string };
let routes: Route[];
let scopeOf: (route: Route) => Scope;
beforeAll(async () => {
  const app = createApp(service.running.deps);
  const all = app.routes.filter(({ method, path }) => method !== "ALL" && path.startsWith("/platform"));
  routes = [...new Map(all.map(({ method, path }) => [`${method} ${path}`, { method, path }])).values()];
  const { paths } = (await service.send("GET", "/openapi.json")).body;
  scopeOf = ({ method, path }) =>
    paths[path.replace(/:(\w+)/g, "{$1}")][method.toLowerCase()].security[0].operatorKey[0];
});

/** An organization, operation or whatever else that isn't there. */
const concrete = (path: string) => path.replace(/:\w+/g, "0123456789abcdef01234567");

test("every route under /platform asks for a key with the scope that it names, and for nothing less", async () => {
  expect(routes.length).toBeGreaterThanOrEqual(5);
  const keys = new Map<Scope, { fitting: string; others: string }>();
  for (const scope of scopes) {
    const fitting = await makeOperatorKey(service.db, [scope]);
    keys.set(scope, {
      fitting,
      others: await makeOperatorKey(
        service.db,
        scopes.filter((other) => other !== scope),
      ),
    });
  }
  const { token } = await service.join();
  for (const route of routes) {
    const { method, path } = route;
    const at = concrete(path);
    const scope = scopeOf(route);
    expect(scopes).toContain(scope);
    const { fitting, others } = keys.get(scope)!;
    expectProblem(await service.send(method, at), { status: 401, type: "operator_key_missing", path: at });
    expectProblem(await service.send(method, at, { token }), { status: 401, type: "operator_key_invalid", path: at });
    const refused = await service.send(method, at, { token: others });
    expectProblem(refused, { status: 403, type: "scope_missing", path: at });
    expect(refused.headers.get("www-authenticate")).toEndWith(`scope="${scope}"`);
    // Let in: what is wrong now is the request.
    expect([200, 404, 422]).toContain((await service.send(method, at, { token: fitting })).status);
  }
}, 60_000);

test("a route changes something only if its scope says so", () => {
  const wrong = routes.filter((route) => (route.method === "GET") !== scopeOf(route).endsWith(":read"));
  expect(wrong).toEqual([]);
});
