import { beforeAll, expect, test } from "bun:test";
import { createTarget, nameOf, type Route, type Target } from "../support/attack.ts";
import { makeOperatorKey } from "../support/operator.ts";
import { type Answer, newcomer, useService } from "../support/service.ts";
import { signInTo } from "../support/session.ts";

/** Everything once: the second request of whoever it is has to be refused. */
const once = ["SIGN_IN", "SIGN_IN_EMAIL", "SIGN_IN_ADDRESS", "CREATE", "READ", "REFUSED", "PROFESSIONAL", "OPERATOR"];
const service = useService({
  TRUSTED_PROXIES: "1",
  ...Object.fromEntries(once.map((name) => [`RATE_LIMIT_${name}`, "1"])),
});
/** They answer from memory, or ask the database for nothing but whether it is there. */
const unlimited = [
  "GET /",
  "GET /.well-known/jwks.json",
  "GET /admin/recovery",
  "GET /docs",
  "GET /redoc",
  "GET /docs/swagger-ui-dist/:file",
  "GET /health",
  "GET /openapi.json",
  "GET /readiness",
];

let target: Target;
let document: any;
beforeAll(async () => {
  target = await createTarget(service);
  document = await (await target.app.request("/openapi.json")).json();
}, 60_000);
let addresses = 0;
const fromElsewhere = () => ({ "x-forwarded-for": `198.18.0.${++addresses}` });
const ask = (route: Route, headers: Record<string, string>) =>
  target.attack(route, {
    what: "one too many",
    headers,
    ...(route.body && { body: JSON.stringify(route.body.example) }),
  });
const bearer = (token: string) => ({ authorization: `Bearer ${token}`, ...fromElsewhere() });

/** Nobody has to add a route here: it is limited, or stands in the list above. */
const limited = (wants: Route["wants"]) =>
  target.routes.filter((route) => route.wants === wants && !unlimited.includes(nameOf(route)));

function offences(answers: (readonly [Route, Answer])[]): string[] {
  return answers.flatMap(([route, { status, headers }]) => {
    const seconds = Number(headers.get("retry-after"));
    const described = document.paths[route.path.replace(/:(\w+)/g, "{$1}")]?.[route.method.toLowerCase()];
    const wrong = [
      status !== 429 && `answered ${status}`,
      !(seconds >= 1) && "no Retry-After",
      !headers.get("ratelimit")?.includes(`;r=0;t=${seconds}`) && `RateLimit: ${headers.get("ratelimit")}`,
      !headers.get("ratelimit-policy")?.includes(";q=1;w=") && `RateLimit-Policy: ${headers.get("ratelimit-policy")}`,
      !described?.responses[429] && "429 is not in its description",
    ];
    return wrong.flatMap((each) => (each ? `${nameOf(route)}: ${each}` : []));
  });
}

test("every route that wants an admin's token is limited by it", async () => {
  const who = newcomer();
  await service.send("POST", "/org/create", { body: who, headers: fromElsewhere() });
  const { access_token } = await signInTo(service, who, fromElsewhere());
  const answer = await service.send("GET", "/admin/me", { token: access_token });
  expect(answer.status).toBe(200);
  const routes = limited("admin");
  expect(routes.length).toBeGreaterThan(15);
  const answers = [];
  for (const route of routes) answers.push([route, await ask(route, bearer(access_token))] as const);
  expect(offences(answers)).toEqual([]);
});

test("every route that wants an operator's key is limited by it", async () => {
  const key = await makeOperatorKey(service.db);
  expect((await service.send("GET", "/platform/operations", { token: key })).status).toBe(200);
  const routes = limited("operator");
  expect(routes.length).toBeGreaterThan(3);
  const answers = [];
  for (const route of routes) answers.push([route, await ask(route, bearer(key))] as const);
  expect(offences(answers)).toEqual([]);
});

test("every other route is limited by address, but for those that cost nothing", async () => {
  const answers = [];
  for (const route of limited("nobody")) {
    const address = fromElsewhere();
    // Where an email has signed in it has a count of its own from then on.
    if (nameOf(route) === "POST /admin/login") await ask(route, address);
    expect({ route: nameOf(route), status: (await ask(route, address)).status }).not.toMatchObject({ status: 429 });
    answers.push([route, await ask(route, address)] as const);
  }
  expect(answers.length).toBeGreaterThan(3);
  expect(offences(answers)).toEqual([]);
});
