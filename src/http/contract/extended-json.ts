import type { Context } from "hono";
import { createMiddleware } from "hono/factory";
import type * as z from "zod";
import { isDocument } from "../../lib/bson/bson.ts";
import { failure } from "../../lib/failure.ts";
import type { Sent } from "../../document/post.ts";
import type { Shown } from "../../document/query.ts";
import { parseInSlices, printExtendedJson, textOf } from "../../lib/json/extended-json.ts";
import { printInSlices } from "../../lib/json/print-in-slices.ts";
import { invalid, under } from "../../lib/invalid.ts";
import { createSlice } from "../../lib/slices.ts";
import { isPrinted } from "../../tenant/query/page.ts";
import { largeBytes } from "../../tenant/stored.ts";
import type { Env } from "../edge/context.ts";
import { isJson, receiveProblems, withDescription } from "./describe.ts";
import type { HttpFailure } from "./problems.ts";
import { receive } from "../edge/receive.ts";

/** What was sent, or of a query what it means. */
export type ExtendedEnv = { Variables: Env["Variables"] & { sent: Sent; asked: unknown } };

/** Reads the body. @param valuesMax how many values may be in it */
async function readBody(c: Context<ExtendedEnv>, bytes: ArrayBuffer, valuesMax = Number.POSITIVE_INFINITY) {
  const slice = createSlice(c.get("actor").organizationId.toHexString(), c.get("late"));
  const text = textOf(bytes);
  return { text, value: await parseInSlices(text, slice, valuesMax) };
}

/** A body of documents. What is in it the verbs check, as no schema can. @param shown examples by their names */
export const documentBody = (schema: z.ZodType, shown: Record<string, unknown>, contentTypes?: string[]) =>
  extendedBody(schema, shown, contentTypes, async (c, bytes) =>
    c.set("sent", bytes.byteLength < largeBytes ? await readBody(c, bytes) : { body: bytes }),
  );

/** A body that asks for something. @param valuesMax how many values may be in it */
export const queryBody = (schema: z.ZodType, shown: Record<string, unknown>, valuesMax: number) =>
  extendedBody(schema, shown, undefined, async (c, bytes) =>
    c.set("asked", (await readBody(c, bytes, valuesMax)).value),
  );

type Read = (c: Context<ExtendedEnv>, bytes: ArrayBuffer) => Promise<void>;

/** Reads a body of Extended JSON and describes it. */
function extendedBody(
  schema: z.ZodType,
  shown: Record<string, unknown>,
  contentTypes = ["application/json"],
  read: Read,
) {
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
      await read(c, await c.req.arrayBuffer());
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
  const value = c.get("asked");
  if (!isDocument(value)) throw invalid("#", "must be an object", "invalid_type");
  const unknown = Object.keys(value).find((name) => !names.includes(name as Name));
  if (unknown !== undefined) throw invalid(under("#", unknown), "is not a field of this request", "unrecognized_keys");
  return value as Partial<Record<Name, unknown>>;
}

/** Answers in relaxed Extended JSON. */
export const sendExtended = (c: Context, status: 200 | 201, value: unknown, headers: Record<string, string> = {}) =>
  c.body(printExtendedJson(value), status, { ...headers, "Content-Type": "application/json" });

/** Answers which documents of an array were inserted, which may be many. @param key whose they are */
export async function sendInserted(c: Context<ExtendedEnv>, key: string, documents: readonly { id: unknown }[]) {
  const inserted = { inserted_count: documents.length, inserted_ids: documents.map(({ id }) => id) };
  return c.body(await printInSlices(inserted, createSlice(key)), 201, { "Content-Type": "application/json" });
}

/** Answers with what is Extended JSON already. */
export const sendPrinted = (c: Context, status: 200 | 201, json: Uint8Array, headers: Record<string, string> = {}) =>
  c.body(json as Uint8Array<ArrayBuffer>, status, { ...headers, "Content-Type": "application/json" });

/** The same for a page of documents, printed in slices: other tenants' requests go on meanwhile. @param key whose it is */
export async function sendPage(c: Context<ExtendedEnv>, key: string, { documents, ...rest }: { documents: Shown }) {
  const slice = createSlice(key, c.get("late"));
  const parts: Uint8Array[] = [];
  let text = '{"documents":[';
  let between = "";
  for (const document of documents) {
    text += between;
    between = ",";
    if (isPrinted(document)) {
      parts.push(Buffer.from(text), document.json);
      text = "";
    } else text += printExtendedJson(document);
    const pause = slice();
    if (pause) await pause;
  }
  const others = Object.entries(rest).map(([name, value]) => `,${JSON.stringify(name)}:${printExtendedJson(value)}`);
  text += `]${others.join("")}}`;
  if (parts.length > 0) return sendPrinted(c, 200, Buffer.concat([...parts, Buffer.from(text)]));
  return c.body(text, 200, { "Content-Type": "application/json" });
}
