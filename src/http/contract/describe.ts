import { zValidator } from "@hono/zod-validator";
import type { Context, Hono, MiddlewareHandler } from "hono";
import * as z from "zod";
import {
  createDocument,
  type ZodOpenApiOperationObject,
  type ZodOpenApiResponseObject,
  type ZodOpenApiResponsesObject,
} from "zod-openapi";
import type { Config } from "../../config.ts";
import { type FieldError, failure } from "../../lib/failure.ts";
import { service, version } from "../../lib/version.ts";
import { receive } from "../edge/receive.ts";
import { firstErrorsSchema, isOfFirst } from "./first-errors.ts";
import { type HttpFailure, problemOf, problemSchema, problemTypes } from "./problems.ts";

type ProblemCode = keyof typeof problemTypes;

/** What a middleware adds to the description of the routes that it stands on. */
export type Description = Pick<
  ZodOpenApiOperationObject,
  "summary" | "description" | "tags" | "security" | "requestBody" | "requestParams" | "operationId"
> & {
  answers?: ZodOpenApiResponsesObject;
  problems?: Partial<Record<ProblemCode, string>>;
  /** What the example of `invalid_request` says. */
  wrongField?: FieldError;
};

const described = Symbol("description");
type Described = { [described]?: Description };

/** Hangs a description on a middleware; `openApiDocument` finds it there, so neither can be true without the other. */
export const withDescription = <M extends MiddlewareHandler>(middleware: M, description: Description): M =>
  Object.assign(middleware, { [described]: description });

/** A middleware that does nothing but describe its route. */
export const describe = (description: Description): MiddlewareHandler =>
  withDescription((_c, next) => next(), description);

/** A schema's example: its own, or put together from those of its fields. */
function exampleOf(schema: z.ZodType): unknown {
  const own = schema.meta()?.example;
  if (own !== undefined || !(schema instanceof z.ZodObject)) return own;
  return Object.fromEntries(Object.entries(schema.shape).map(([name, field]) => [name, exampleOf(field as z.ZodType)]));
}

const json = (schema: z.ZodType, example: unknown = exampleOf(schema)) => ({ "application/json": { schema, example } });

/** Describes an answer in JSON; `differs` are the fields whose example is another one than the schema's. */
export const answer = (description: string, schema: z.ZodObject, differs: Record<string, unknown> = {}) => ({
  description,
  content: json(schema, { ...(exampleOf(schema) as object), ...differs }),
});

/** An answer doesn't grow with the number of mistakes. */
const errorsMax = 20;

function invalid(errors: FieldError[]) {
  const told = errors.slice(0, errorsMax);
  const more = errors.length > told.length ? [`and ${errors.length - told.length} more`] : [];
  const detail = [...told.map(({ pointer, message }) => `${pointer} ${message}`), ...more].join("; ");
  return failure<HttpFailure>("invalid_request", `${detail}.`, { errors: told });
}

const article = (noun: string) => (/^[aio]/.test(noun) ? "an" : "a");

/** What a person reads; zod's own words for a wrong type are for programmers. */
function messageOf(issue: z.core.$ZodIssue): string {
  if (issue.code === "unrecognized_keys") return "is not a field of this request";
  if (issue.code !== "invalid_type") return issue.message;
  if (issue.message.endsWith("received undefined")) return "is missing";
  const expected = issue.expected === "record" ? "object" : issue.expected;
  return `must be ${article(expected)} ${expected}`;
}

const refuse = (
  pointerTo: (path: PropertyKey[]) => string,
  result: { success: boolean; error?: { issues: unknown[] } | undefined },
): void => {
  if (result.success || !result.error) return;
  const errors = (result.error.issues as z.core.$ZodIssue[]).flatMap((issue): FieldError[] => {
    const names = issue.code === "unrecognized_keys" ? issue.keys.map((key) => [...issue.path, key]) : [issue.path];
    return names.map((path) => ({
      pointer: pointerTo(path),
      message: messageOf(issue),
      code: issue.code ?? "invalid",
    }));
  });
  throw invalid(errors);
};

const shown = (part: PropertyKey) => String(part).slice(0, 100);
/** RFC 6901, as a URI fragment like in RFC 9457's own example. */
const inBody = (path: PropertyKey[]) =>
  `#${path.map((part) => `/${shown(part).replaceAll("~", "~0").replaceAll("/", "~1")}`).join("")}`;
const inQuery = (path: PropertyKey[]) => `?${path.map(shown).join(".")}`;

export const isJson = (c: Context) =>
  /^application\/([\w.-]+\+)?json\s*(;|$)/i.test(c.req.header("content-type") ?? "");

/** Problems of all routes that may be sent a body, and of those that read it. */
const encodingProblems = { unsupported_content_encoding: "The request has a Content-Encoding" };
export const receiveProblems = {
  ...encodingProblems,
  bodies_busy: "Too many request bodies are being read at the same time",
};

const wrongType = (pointerTo: (path: PropertyKey[]) => string, schema: z.ZodObject): FieldError => ({
  pointer: pointerTo(Object.keys(schema.shape).slice(0, 1)),
  message: "must be a string",
  code: "invalid_type",
});

/** Elements or members of a body, and of each of its fields: more than any request has. */
const partsMax = 1_000;
const countParts = (value: unknown): number =>
  Array.isArray(value) ? value.length : typeof value === "object" && value !== null ? Object.keys(value).length : 0;

/** Comes before a schema, which looks at each part before it counts them. */
const counted = z.unknown().superRefine((value, context) => {
  const refuse = (path: string[]) =>
    context.addIssue({ code: "custom", path, message: `must have at most ${partsMax} parts` });
  if (countParts(value) > partsMax) return refuse([]);
  if (typeof value !== "object" || value === null) return;
  for (const [name, part] of Object.entries(value)) if (countParts(part) > partsMax) refuse([name]);
});
/** As the middleware is, once the body is there. */
const received = <M extends MiddlewareHandler>(middleware: M): M =>
  (async (c, next) => {
    await receive(c);
    return await middleware(c, next);
  }) as M;

/** Validates a JSON body and describes it. */
export const body = <S extends z.ZodObject>(schema: S) =>
  withDescription(
    received(
      zValidator("json", counted.pipe(schema), (result, c) => {
        if (!isJson(c)) {
          throw failure<HttpFailure>(
            "unsupported_content_type",
            "Send the body as JSON: Content-Type: application/json.",
          );
        }
        refuse(inBody, result);
      }),
    ),
    {
      requestBody: { required: true, content: json(schema) },
      wrongField: wrongType(inBody, schema),
      problems: {
        body_too_large: "The body has more than MAX_BODY_BYTES",
        invalid_request: "A field is missing, invalid or unknown",
        malformed_json: "The body is not JSON",
        ...receiveProblems,
        unsupported_content_type: "The body is not sent as JSON",
      },
    },
  );

/** Validates the query and describes it. */
export const query = <S extends z.ZodObject>(schema: S) =>
  withDescription(
    zValidator("query", schema, (result) => refuse(inQuery, result)),
    {
      requestParams: { query: schema },
      problems: { invalid_request: "A query parameter is missing or invalid" },
      wrongField: wrongType(inQuery, schema),
    },
  );

const inPath = (path: PropertyKey[]) => `{${path.map(shown).join(".")}}`;

/** Validates the parameters of the path and describes them. */
export const pathParameters = <S extends z.ZodObject>(schema: S) =>
  withDescription(
    zValidator("param", schema, (result) => refuse(inPath, result)),
    {
      requestParams: { path: schema },
      problems: { invalid_request: "A part of the path or of the body is invalid" },
      wrongField: wrongType(inPath, schema),
    },
  );

/** Problems that every route under the error handler may answer with. */
const everywhere = {
  bad_request: "The Host header is invalid or occurs twice",
  internal_error: "An internal error of the service",
};
/** What only reads is sent on to HTTPS instead, where there is a PUBLIC_ORIGIN. */
const whereChanged = { ...everywhere, https_required: "The request was sent by HTTP, and ENFORCE_HTTPS is on" };

/** Problems of the routes that wait until the service is ready and ask the database. */
export const databaseProblems = {
  database_unavailable: "The database can't be reached",
  rights_missing: "The service's database user lacks a right",
  starting: "The service is starting",
  timeout: "The request took longer than REQUEST_TIMEOUT_MS",
};

/** Problems of the routes that take no body, and are sent one. */
export const bodilessProblems = {
  ...encodingProblems,
  body_too_large: "The request has a body of more than MAX_BODY_BYTES",
};

/** Problems of the routes whose effect is recorded. */
export const recordProblems = { audit_unavailable: "The audit log can't be written at the moment" };

const retryAfter = z.string().meta({ description: "In seconds", example: "1" });
const headersOf: Partial<Record<string, ZodOpenApiResponseObject["headers"]>> = {
  401: z.object({ "WWW-Authenticate": z.string().meta({ example: "Bearer" }) }),
  409: z.object({ "Retry-After": retryAfter.optional() }),
  412: z.object({
    ETag: z.string().optional().meta({ description: "ETag of the current document", example: '"2-q83vEjRWeJCrze8B"' }),
  }),
  415: z.object({ "Accept-Encoding": z.string().meta({ example: "identity" }) }),
  429: z.object({
    "Retry-After": z.string().meta({ description: "In seconds", example: "30" }),
    RateLimit: z.string().meta({
      description: "Remaining requests, and seconds until the window resets",
      example: '"organization";r=0;t=30',
    }),
    "RateLimit-Policy": z
      .string()
      .meta({ description: "The limit and its window in seconds", example: '"organization";q=6000;w=60' }),
  }),
  403: z.object({
    "WWW-Authenticate": z.string().optional().meta({
      description: "If the key lacks a scope (RFC 6750, 3)",
      example: 'Bearer error="insufficient_scope", scope="moves:write"',
    }),
  }),
  503: z.object({ "Retry-After": retryAfter }),
};

function problemResponses(path: string, { problems = {}, wrongField }: Description): ZodOpenApiResponsesObject {
  const byStatus = Object.groupBy(
    Object.entries(problems) as [ProblemCode, string][],
    ([code]) => problemTypes[code].status,
  );
  const responses: ZodOpenApiResponsesObject = {};
  for (const [status, listed] of Object.entries(byStatus)) {
    const examples = listed!.map(([code, detail]) => {
      const problem = code === "invalid_request" && wrongField ? invalid([wrongField]) : failure(code, `${detail}.`);
      const value = problemOf(problem, path, "7d5c5b1e-5f0f-4a3e-8f5e-0f8a2b3c4d5e");
      return [code, { summary: problemTypes[code].title, value }] as const;
    });
    responses[status as `${1 | 2 | 3 | 4 | 5}${string}`] = {
      description: listed!.map(([, detail]) => detail).join("; "),
      content: { "application/problem+json": { schema: problemSchema, examples: Object.fromEntries(examples) } },
      ...(headersOf[status] && { headers: headersOf[status] }),
    };
  }
  return responses;
}

/** OpenAPI 3.1 of all routes of an app that are described, made from the schemas that validate. */
export function openApiDocument(
  app: Hono<any>,
  components: { securitySchemes: Record<string, object> },
  validationErrors: Config["validationErrors"],
) {
  const operations = new Map<string, Description>();
  for (const { method, path, handler } of app.routes) {
    const part = (handler as Described)[described];
    if (!part) continue;
    const place = `${method.toLowerCase()} ${path}`;
    const sofar: Description = operations.get(place) ?? { problems: method === "GET" ? everywhere : whereChanged };
    operations.set(place, {
      ...sofar,
      ...part,
      problems: { ...sofar.problems, ...part.problems },
      ...(sofar.requestParams && { requestParams: { ...sofar.requestParams, ...part.requestParams } }),
    });
  }
  const paths: Record<string, Record<string, ZodOpenApiOperationObject>> = {};
  for (const [place, description] of operations) {
    const { answers, problems, wrongField, ...operation } = description;
    const [method = "", path = ""] = place.split(" ");
    // A status that the route answers with itself is its own to describe.
    const responses = { ...problemResponses(path, description), ...answers };
    const isFirst = validationErrors === "v1" && isOfFirst(method.toUpperCase(), path);
    if (isFirst && responses["422"]) responses["422"] = { ...responses["422"], content: json(firstErrorsSchema) };
    const template = path.replace(/:(\w+)/g, "{$1}");
    paths[template] = { ...paths[template], [method]: { ...operation, responses } };
  }
  return createDocument({
    openapi: "3.1.0",
    info: {
      title: service,
      version,
      description: [
        "Multi-tenancy for MongoDB: every organization gets a place for its documents and an admin who signs in.",
        "To try it on this page: `POST /org/create`, then `POST /admin/login`, and enter the `access_token` under *Authorize*.",
      ].join("\n\n"),
    },
    // In the order in which a newcomer needs them.
    tags: [
      { name: "Organizations", description: "The tenants" },
      { name: "Admins", description: "Who signs in for an organization" },
      { name: "Documents", description: "An organization's own data, with the same behaviour in every tier" },
      { name: "Platform", description: "For operators: organizations, moves and operations" },
      { name: "Service", description: "For operators: health, readiness and keys" },
    ],
    paths,
    components,
  } as Parameters<typeof createDocument>[0]);
}
