import { zValidator } from "@hono/zod-validator";
import type { Context, Hono, MiddlewareHandler } from "hono";
import * as z from "zod";
import { createDocument, type ZodOpenApiOperationObject, type ZodOpenApiResponsesObject } from "zod-openapi";
import { type FieldError, failure } from "../lib/failure.ts";
import { service, version } from "../lib/version.ts";
import { type HttpFailure, problemOf, problemSchema, problemTypes } from "./problems.ts";

type ProblemCode = keyof typeof problemTypes;

/** What a middleware adds to the description of the routes that it stands on. */
export type Description = Pick<
  ZodOpenApiOperationObject,
  "summary" | "description" | "tags" | "security" | "requestBody" | "requestParams" | "operationId"
> & { answers?: ZodOpenApiResponsesObject; problems?: Partial<Record<ProblemCode, string>> };

const described = Symbol("description");
type Described = { [described]?: Description };

/** Hangs a description on a middleware; `openApiDocument` finds it there, so neither can be true without the other. */
export const withDescription = <M extends MiddlewareHandler>(middleware: M, description: Description): M =>
  Object.assign(middleware, { [described]: description });

/** A middleware that does nothing but describe its route. */
export const describe = (description: Description): MiddlewareHandler =>
  withDescription((_c, next) => next(), description);

const refuse = <T>(
  pointerTo: (path: PropertyKey[]) => string,
  result: { success: boolean; error?: z.core.$ZodError<T> | undefined },
): void => {
  if (result.success || !result.error) return;
  const errors = result.error.issues.flatMap((issue): FieldError[] => {
    const names = issue.code === "unrecognized_keys" ? issue.keys.map((key) => [...issue.path, key]) : [issue.path];
    const message = issue.code === "unrecognized_keys" ? "is not a field of this request" : issue.message;
    return names.map((path) => ({ pointer: pointerTo(path), message, code: issue.code ?? "invalid" }));
  });
  throw failure<HttpFailure>(
    "invalid_request",
    `${errors.map(({ pointer, message }) => `${pointer} ${message}`).join("; ")}.`,
    {
      errors,
    },
  );
};

const shown = (part: PropertyKey) => String(part).slice(0, 100);
/** RFC 6901, as a URI fragment like in RFC 9457's own example. */
const inBody = (path: PropertyKey[]) =>
  `#${path.map((part) => `/${shown(part).replaceAll("~", "~0").replaceAll("/", "~1")}`).join("")}`;
const inQuery = (path: PropertyKey[]) => `?${path.map(shown).join(".")}`;

const isJson = (c: Context) => /^application\/([\w.-]+\+)?json\s*(;|$)/i.test(c.req.header("content-type") ?? "");

/** Validates a JSON body and describes it. */
export const body = <S extends z.ZodType>(schema: S) =>
  withDescription(
    zValidator("json", schema, (result, c) => {
      if (!isJson(c)) {
        throw failure<HttpFailure>(
          "unsupported_content_type",
          "Send the body as JSON: Content-Type: application/json.",
        );
      }
      refuse(inBody, result);
    }),
    {
      requestBody: { required: true, content: { "application/json": { schema } } },
      problems: {
        body_too_large: "The body has more than MAX_BODY_BYTES",
        invalid_request: "A field is missing or wrong, or there is one that the request doesn't have",
        malformed_json: "The body is not JSON",
        unsupported_content_type: "The body is not sent as JSON",
      },
    },
  );

/** Validates the query and describes it. */
export const query = <S extends z.ZodObject>(schema: S) =>
  withDescription(
    zValidator("query", schema, (result) => refuse(inQuery, result)),
    { requestParams: { query: schema }, problems: { invalid_request: "A query parameter is missing or wrong" } },
  );

/** Problems that every route under the error handler may answer with. */
const everywhere: Description["problems"] = {
  internal_error: "A defect of the service",
  database_unavailable: "The database can't be reached",
};

function problemResponses(problems: NonNullable<Description["problems"]>): ZodOpenApiResponsesObject {
  const byStatus = Object.groupBy(
    Object.entries(problems) as [ProblemCode, string][],
    ([code]) => problemTypes[code].status,
  );
  const responses: ZodOpenApiResponsesObject = {};
  for (const [status, listed] of Object.entries(byStatus)) {
    const examples = listed!.map(([code, detail]) => {
      const value = problemOf(
        failure(code, `${detail}.`),
        "/path/that/was/asked/for",
        "7d5c5b1e-5f0f-4a3e-8f5e-0f8a2b3c4d5e",
      );
      return [code, { summary: problemTypes[code].title, value }] as const;
    });
    responses[status as `${1 | 2 | 3 | 4 | 5}${string}`] = {
      description: listed!.map(([, detail]) => detail).join("; "),
      content: { "application/problem+json": { schema: problemSchema, examples: Object.fromEntries(examples) } },
      ...(status === "401" && { headers: z.object({ "WWW-Authenticate": z.string() }) }),
      ...(status === "503" && { headers: z.object({ "Retry-After": z.string().meta({ description: "seconds" }) }) }),
    };
  }
  return responses;
}

/** OpenAPI 3.1 of all routes of an app that are described, made from the schemas that validate. */
export function openApiDocument(app: Hono<any>, components: { securitySchemes: Record<string, object> }) {
  const operations = new Map<string, Description>();
  for (const { method, path, handler } of app.routes) {
    const part = (handler as Described)[described];
    if (!part) continue;
    const place = `${method.toLowerCase()} ${path}`;
    const sofar = operations.get(place) ?? { problems: everywhere };
    operations.set(place, { ...sofar, ...part, problems: { ...sofar.problems, ...part.problems } });
  }
  const paths: Record<string, Record<string, ZodOpenApiOperationObject>> = {};
  for (const [place, { answers, problems, ...operation }] of operations) {
    const [method = "", path = ""] = place.split(" ");
    const responses = { ...answers, ...problemResponses(problems ?? {}) };
    paths[path] = { ...paths[path], [method]: { ...operation, responses } };
  }
  return createDocument({
    openapi: "3.1.0",
    info: {
      title: service,
      version,
      description: "Deals every organization a place in MongoDB and signs its admin in.",
    },
    paths,
    components,
  } as Parameters<typeof createDocument>[0]);
}
