import type { Context } from "hono";
import type * as z from "zod";
import { receive } from "../edge/receive.ts";
import { body, bodilessProblems, isJson, withDescription } from "./describe.ts";

/** Whether a body is an object with fields. What can't be parsed is none; what can't be read is an error all the same. */
async function hasFields(c: Context): Promise<boolean> {
  await receive(c);
  const text = await c.req.text();
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value) && Object.keys(value).length > 0;
  } catch {
    return false;
  }
}

/**
 * A JSON body that may be left out, as clients of before do: whatever isn't a JSON object with fields is none.
 *
 * @param schema one that an empty object fits
 */
export const optionalBody = <S extends z.ZodObject>(schema: S): ReturnType<typeof body<S>> => {
  const required = body(schema);
  const optional: typeof required = async (c, next) => {
    if (isJson(c) && (await hasFields(c))) return await required(c, next);
    c.req.addValidatedData("json", schema.parse({}));
    await next();
  };
  return withDescription(optional, {
    requestBody: { required: false, content: { "application/json": { schema, example: schema.meta()?.example } } },
    wrongField: { pointer: `#/${Object.keys(schema.shape)[0]}`, message: "must be a string", code: "invalid_type" },
    problems: {
      ...bodilessProblems,
      invalid_request: "A field is invalid",
      bodies_busy: "Too many request bodies are being read at the same time",
    },
  });
};
