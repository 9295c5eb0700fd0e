import type { Context } from "hono";
import { createMiddleware } from "hono/factory";
import type * as z from "zod";
import { isDocument } from "../lib/bson.ts";
import { failure, isFailure } from "../lib/failure.ts";
import { parseInSlices, printExtendedJson } from "../lib/extended-json.ts";
import { invalid, under } from "../lib/invalid.ts";
import { createSlice, type Slice } from "../lib/slices.ts";
import type { Env } from "./context.ts";
import { isJson, receiveProblems, withDescription } from "./describe.ts";
import type { HttpFailure } from "./problems.ts";
import { receive } from "./receive.ts";

/** What was sent: as text, and what MongoDB Extended JSON makes of it. */
export type Sent = { text: string; value: unknown };
export type ExtendedEnv = { Variables: Env["Variables"] & { sent: Sent } };

const malformed = (detail: string) => failure<HttpFailure>("malformed_json", detail);

async function readSent(bytes: ArrayBuffer, slice: Slice): Promise<Sent> {
  let text: string;
  try {
    // Otherwise a broken character would be stored as another one.
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw malformed("The body is not UTF-8.");
  }
  try {
    return { text, value: await parseInSlices(text, slice) };
  } catch (error) {
    if (isFailure(error) && error.errors?.[0]?.code === "malformed_json") throw malformed(error.message);
    throw error;
  }
}

/**
 * Reads a body of Extended JSON and describes it; what is in it the verbs check, as no schema can.
 *
 * @param shown examples by their names
 */
export function extendedBody(schema: z.ZodType, shown: Record<string, unknown>, contentTypes = ["application/json"]) {
  const examples = Object.fromEntries(Object.entries(shown).map(([name, value]) => [name, { value }]));
  return withDescription(
    createMiddleware<ExtendedEnv>(async (c, next) => {
      if (!isJson(c)) {
        throw failure<HttpFailure>(
          "unsupported_content_type",
          "Send the body as JSON: Content-Type: application/json.",
        );
      }
      await receive(c);
      const slice = createSlice(c.get("actor").organizationId.toHexString(), c.get("late"));
      c.set("sent", await readSent(await c.req.arrayBuffer(), slice));
      await next();
    }),
    {
      requestBody: {
        required: true,
        content: Object.fromEntries(contentTypes.map((type) => [type, { schema, examples }])),
      },
      problems: {
        body_too_large: "The body has more than MAX_DOCUMENTS_BYTES",
        invalid_request: "Something in the request isn't allowed or isn't Extended JSON",
        malformed_json: "The body is not JSON",
        ...receiveProblems,
        unsupported_content_type: "The body is not sent as JSON",
      },
    },
  );
}

/** The members of a body that is an object, and may have no others. @throws Failure `invalid_request` */
export function readMembers<Name extends string>(c: Context<ExtendedEnv>, names: readonly Name[]) {
  const { value } = c.get("sent");
  if (!isDocument(value)) throw invalid("#", "must be an object", "invalid_type");
  const unknown = Object.keys(value).find((name) => !names.includes(name as Name));
  if (unknown !== undefined) throw invalid(under("#", unknown), "is not a field of this request", "unrecognized_keys");
  return value as Partial<Record<Name, unknown>>;
}

/** Answers in relaxed Extended JSON. */
export const sendExtended = (c: Context, status: 200 | 201, value: unknown, headers: Record<string, string> = {}) =>
  c.body(printExtendedJson(value), status, { ...headers, "Content-Type": "application/json" });

/** The same for a page of documents, printed in slices: other tenants' requests go on meanwhile. @param key whose it is */
export async function sendPage(c: Context<ExtendedEnv>, key: string, { documents, ...rest }: { documents: unknown[] }) {
  const slice = createSlice(key, c.get("late"));
  let text = "";
  for (const document of documents) {
    text += `${text && ","}${printExtendedJson(document)}`;
    const pause = slice();
    if (pause) await pause;
  }
  const others = Object.entries(rest).map(([name, value]) => `,${JSON.stringify(name)}:${printExtendedJson(value)}`);
  return c.body(`{"documents":[${text}]${others.join("")}}`, 200, { "Content-Type": "application/json" });
}
