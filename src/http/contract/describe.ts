import { zValidator } from "@hono/zod-validator";
import type { Context, MiddlewareHandler } from "hono";
import * as z from "zod";
import type { ZodOpenApiOperationObject, ZodOpenApiResponsesObject } from "zod-openapi";
import { type FieldError, failure } from "../../lib/failure.ts";
import { receive } from "../edge/receive.ts";
import type { HttpFailure, problemTypes } from "./problems.ts";

export type ProblemCode = keyof typeof problemTypes;

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
export const descriptionOf = (handler: object): Description | undefined => (handler as Described)[described];

/** A middleware that does nothing but describe its route. */
export const describe = (description: Description): MiddlewareHandler =>
  withDescription((_c, next) => next(), description);

/** A schema's example: its own, or put together from those of its fields. */
function exampleOf(schema: z.ZodType): unknown {
  const own = schema.meta()?.example;
  if (own !== undefined || !(schema instanceof z.ZodObject)) return own;
  return Object.fromEntries(Object.entries(schema.shape).map(([name, field]) => [name, exampleOf(field as z.ZodType)]));
}

export const json = (schema: z.ZodType, example: unknown = exampleOf(schema)) => ({
  "application/json": { schema, example },
});

/** Describes an answer in JSON; `differs` are the fields whose example is another one than the schema's. */
export const answer = (description: string, schema: z.ZodObject, differs: Record<string, unknown> = {}) => ({
  description,
  content: json(schema, { ...(exampleOf(schema) as object), ...differs }),
});

/** An answer doesn't grow with the number of mistakes. */
const errorsMax = 20;

export function invalid(errors: FieldError[]) {
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
        body_too_large: "The body has more than MAX_BODY_BYTES, or without a token or key more than 64 KiB",
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
export const everywhere = {
  bad_request: "The Host header is invalid or occurs twice",
  internal_error: "An internal error of the service",
};
/** What only reads is sent on to HTTPS instead, where there is a PUBLIC_ORIGIN. */
export const whereChanged = { ...everywhere, https_required: "The request was sent by HTTP, and ENFORCE_HTTPS is on" };

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

/** Problems of the routes that need the organization's documents. */
export const placeProblems = {
  organization_without_place:
    "The location of its documents is unknown, or the service isn't connected to their region",
};

/** Problems of the routes whose effect is recorded. */
export const recordProblems = { audit_unavailable: "The audit log can't be written at the moment" };
