import { createApp } from "../../src/app.ts";
import { createLogger } from "../../src/log.ts";
import { leaks } from "./problem.ts";
import { readAnswer, type Answer, type Service } from "./service.ts";
import { resolve, type Schema } from "./json-schema.ts";

/** What anybody may ask. Whatever route is not in this list has to refuse a request without credentials. */
const open = new Set([
  "GET /",
  "GET /health",
  "GET /readiness",
  "GET /.well-known/jwks.json",
  "GET /openapi.json",
  "GET /docs",
  "GET /redoc",
  "GET /docs/swagger-ui-dist/:file",
  "POST /org/create",
  "GET /org/get",
  "POST /admin/login",
  "POST /admin/refresh",
  "GET /admin/recovery",
  "POST /admin/recovery",
]);

export type Route = {
  method: string;
  /** As the app has it: `/org/documents/:id`. */
  path: string;
  /** Whose credentials it wants. */
  wants: "nobody" | "admin" | "operator";
  /** What its description says of a request that is right; undefined without a body. */
  body?: { contentType: string; example: Record<string, unknown>; fields: string[] };
  /** Names of its query parameters. */
  query: string[];
};
export const nameOf = ({ method, path }: Pick<Route, "method" | "path">) => `${method} ${path}`;

export type Attack = {
  /** What it tries, for the report. */
  what: string;
  method?: string;
  /** Instead of the route's, its parameters filled in. */
  path?: string;
  query?: string;
  body?: string;
  headers?: Record<string, string>;
};

/** Ids of the right form that nobody has: a request with them reaches the verb and finds nothing. */
const idFor = (path: string, parameter: string): string =>
  path.startsWith("/platform/")
    ? "0123456789abcdef01234567"
    : path.startsWith("/admin/sessions/")
      ? "0b9f7a3e-3c1d-4d0e-9f5b-6a2c8d7e1f40"
      : `no-${parameter}`;

export const fill = (path: string, value?: string): string =>
  path.replace(/:(\w+)/g, (_all, parameter) => value ?? idFor(path, parameter));

type Media = { schema: Schema; example?: unknown; examples?: Record<string, { value: unknown }> };

/** The app's own table of routes, with what /openapi.json says of each: nobody has to add a new route here. */
async function routesOf(app: ReturnType<typeof createApp>): Promise<Route[]> {
  const document: any = await (await app.request("/openapi.json")).json();
  const listed = app.routes.filter(({ method }) => method !== "ALL").map(({ method, path }) => ({ method, path }));
  const unique = [...new Map(listed.map((route) => [nameOf(route), route])).values()];
  return unique.map(({ method, path }): Route => {
    const described = document.paths[path.replace(/:(\w+)/g, "{$1}")]?.[method.toLowerCase()];
    const content = Object.entries<Media>(described?.requestBody?.content ?? {})[0];
    const wants = open.has(`${method} ${path}`) ? "nobody" : path.startsWith("/platform/") ? "operator" : "admin";
    const query = (described?.parameters ?? [])
      .filter((each: any) => each.in === "query")
      .map((each: any) => each.name);
    if (!content) return { method, path, wants, query };
    const [contentType, media] = content;
    const schema: Schema = media.schema.$ref ? resolve(document, media.schema.$ref) : media.schema;
    const example = media.example ?? Object.values(media.examples ?? {})[0]?.value ?? {};
    const fields = Object.keys(schema.properties ?? {});
    return { method, path, wants, query, body: { contentType, example: example as Record<string, unknown>, fields } };
  });
}

// The database was slow or away, or something else was going on: nothing that the attack did.
const busy = /:(database_unavailable|timeout|operation_pending|passwords_busy|tenant_moving|revocations_unknown)$/;

/** A service in this process that is attacked: requests go to the app, not through a socket, and its log is kept. */
export async function createTarget(service: Service) {
  const lines: string[] = [];
  const log = createLogger("info", { write: (line) => void lines.push(line) });
  const app = createApp({ ...service.running.deps, log });
  const routes = await routesOf(app);
  let count = 0;

  async function attack(route: Route, attack: Attack): Promise<Answer> {
    const { method = route.method, path = fill(route.path), query = "", body, headers = {} } = attack;
    const type = body === undefined ? {} : { "content-type": route.body?.contentType ?? "application/json" };
    count++;
    for (let attempt = 1; ; attempt++) {
      const init = { method, headers: { ...type, ...headers }, ...(body !== undefined && { body }) };
      const answer = await readAnswer(await app.request(path + query, init));
      if (!(answer.status === 503 && busy.test(answer.body?.type)) || attempt === 4) return answer;
      await Bun.sleep(250 * attempt);
    }
  }
  return { app, routes, lines, attack, count: () => count };
}
export type Target = Awaited<ReturnType<typeof createTarget>>;

/** What is wrong with an answer to an attack, whatever it is; null when nothing is. */
export function offence({ status, headers, body, text }: Answer, secrets: readonly string[] = []): string | null {
  if (status >= 500) return `answered ${status}: ${text.slice(0, 200)}`;
  const told = `${text}\n${[...headers].map((pair) => pair.join(": ")).join("\n")}`;
  const secret = secrets.find((each) => told.includes(each));
  if (secret) return `answered ${status} with ${secret}`;
  for (const name of ["set-cookie", "x-evil", "location"]) {
    if (headers.has(name) && /evil/i.test(headers.get(name)!)) return `set the header ${name}`;
  }
  if (status < 400) return null;
  if (headers.get("content-type") !== "application/problem+json" && text !== "")
    return `answered ${status} with no problem document`;
  if (text !== "" && (body?.status !== status || typeof body.type !== "string"))
    return `answered ${status} with a wrong problem`;
  if (leaks.test(body?.detail ?? "") || /\bat .+:\d+:\d+/.test(text)) return `told how it is made: ${body.detail}`;
  return text.length > 20_000 ? `answered ${text.length} characters` : null;
}

/** Some at a time, as an attacker would, and not one after the other. */
export async function inLanes<T>(items: readonly T[], lanes: number, act: (item: T) => Promise<void>): Promise<void> {
  const left = [...items];
  const run = async () => {
    for (let next = left.shift(); next !== undefined; next = left.shift()) await act(next);
  };
  await Promise.all(Array.from({ length: lanes }, run));
}
