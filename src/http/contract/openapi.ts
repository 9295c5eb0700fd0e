import type { Hono } from "hono";
import * as z from "zod";
import {
  createDocument,
  type ZodOpenApiOperationObject,
  type ZodOpenApiResponseObject,
  type ZodOpenApiResponsesObject,
} from "zod-openapi";
import type { Config } from "../../config.ts";
import { failure } from "../../lib/failure.ts";
import { service, version } from "../../lib/version.ts";
import {
  type Description,
  descriptionOf,
  everywhere,
  invalid,
  json,
  type ProblemCode,
  whereChanged,
} from "./describe.ts";
import { firstErrorsSchema, isOfFirst } from "./first-errors.ts";
import { problemOf, problemSchema, problemTypes } from "./problems.ts";

const problemType = "application/problem+json";

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

type Example = { summary: string; value: object };
/** Of any path: a problem that many routes answer with has one example, which they refer to. */
const examplePath = "/path/of/the/request";

/** The example of a problem: by reference where it is the one that all share, which is the first; another one as it is. */
function exampleOf(code: ProblemCode, detail: string, { wrongField }: Description, shared: Map<string, Example>) {
  const isField = code === "invalid_request" && wrongField !== undefined;
  const problem = isField ? invalid([wrongField]) : failure(code, `${detail}.`);
  const value = problemOf(problem, examplePath, "7d5c5b1e-5f0f-4a3e-8f5e-0f8a2b3c4d5e");
  if (!shared.has(code) && !isField) shared.set(code, { summary: problemTypes[code].title, value });
  const isShared = JSON.stringify(shared.get(code)?.value) === JSON.stringify(value);
  return isShared ? { $ref: `#/components/examples/${code}` } : { summary: problemTypes[code].title, value };
}

function problemResponses(description: Description, shared: Map<string, Example>): ZodOpenApiResponsesObject {
  const byStatus = Object.groupBy(
    Object.entries(description.problems ?? {}) as [ProblemCode, string][],
    ([code]) => problemTypes[code].status,
  );
  const responses: ZodOpenApiResponsesObject = {};
  for (const [status, listed] of Object.entries(byStatus)) {
    const examples = listed!.map(([code, detail]) => [code, exampleOf(code, detail, description, shared)]);
    responses[status as `${1 | 2 | 3 | 4 | 5}${string}`] = {
      description: listed!.map(([, detail]) => detail).join("; "),
      content: { [problemType]: { schema: problemSchema, examples: Object.fromEntries(examples) } },
      ...(headersOf[status] && { headers: headersOf[status] }),
    };
  }
  return responses;
}

type Document = ReturnType<typeof createDocument>;
type Response = ZodOpenApiResponseObject | { $ref: string };
type Operation = {
  operationId: string;
  parameters?: { required?: boolean; description?: string; schema: { description?: string; example?: unknown } }[];
  responses: Record<string, Response>;
};
const operationsOf = (document: Document) =>
  Object.values(document.paths ?? {}).flatMap((item) => Object.values(item) as Operation[]);

/** Many routes refuse in the same words: each such response is a component, named after the first route that has it. */
function shareProblems(document: Document): Record<string, Response> {
  const names = new Map<string, string>();
  const shared: Record<string, Response> = {};
  for (const { operationId, responses } of operationsOf(document)) {
    for (const [status, response] of Object.entries(responses)) {
      if (!("content" in response) || !Object.hasOwn(response.content ?? {}, problemType)) continue;
      const text = JSON.stringify(response);
      const name = names.get(text) ?? `${operationId}${status}`;
      names.set(text, name);
      shared[name] = response;
      responses[status] = { $ref: `#/components/responses/${name}` };
    }
  }
  return shared;
}

/** Swagger UI sends the example of a parameter unless it is deleted: for one that may be left out it is only told. */
function tellExamples(document: Document): void {
  for (const { parameters = [] } of operationsOf(document)) {
    for (const parameter of parameters) {
      const { example, description, ...schema } = parameter.schema;
      if (parameter.required || example === undefined) continue;
      const told = `For example \`${example}\``;
      parameter.schema = schema;
      parameter.description = description === undefined ? told : `${description}. ${told}`;
    }
  }
}

/** OpenAPI 3.1 of all routes of an app that are described, made from the schemas that validate. */
export function openApiDocument(
  app: Hono<any>,
  components: { securitySchemes: Record<string, object> },
  validationErrors: Config["validationErrors"],
) {
  const operations = new Map<string, Description>();
  const examples = new Map<string, Example>();
  for (const { method, path, handler } of app.routes) {
    const part = descriptionOf(handler);
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
    const responses = { ...problemResponses(description, examples), ...answers };
    const isFirst = validationErrors === "v1" && isOfFirst(method.toUpperCase(), path);
    if (isFirst && responses["422"]) responses["422"] = { ...responses["422"], content: json(firstErrorsSchema) };
    const template = path.replace(/:(\w+)/g, "{$1}");
    paths[template] = { ...paths[template], [method]: { security: [], ...operation, responses } };
  }
  const document = createDocument({
    openapi: "3.1.0",
    info: {
      title: service,
      version,
      description: [
        "Multi-tenancy for MongoDB: every organization gets a place for its documents and an admin who signs in.",
        "To try it on this page: `POST /org/create`, then `POST /admin/login`, and enter the `access_token` under *Authorize*.",
      ].join("\n\n"),
    },
    // Wherever this description is served from.
    servers: [{ url: "/" }],
    // In the order in which a newcomer needs them.
    tags: [
      { name: "Organizations", description: "The tenants" },
      { name: "Admins", description: "Who signs in for an organization" },
      { name: "Documents", description: "An organization's own data, with the same behaviour in every tier" },
      { name: "Platform", description: "For operators: organizations, moves and operations" },
      { name: "Service", description: "For operators: health, readiness and keys" },
    ],
    paths,
    components: { ...components, examples: Object.fromEntries(examples) },
  } as Parameters<typeof createDocument>[0]);
  tellExamples(document);
  return { ...document, components: { ...document.components, responses: shareProblems(document) } };
}
