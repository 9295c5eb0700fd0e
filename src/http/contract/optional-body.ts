import type * as z from "zod";
import { body, bodilessProblems, isJson, withDescription } from "./describe.ts";

/**
 * A JSON body that may be left out, as clients of before do: none at all, an empty one and one of another type are none.
 *
 * @param schema one that an empty object fits
 */
export const optionalBody = <S extends z.ZodObject>(schema: S): ReturnType<typeof body<S>> => {
  const required = body(schema);
  const optional: typeof required = async (c, next) => {
    const isSent = c.req.raw.body !== null && c.req.header("content-length") !== "0";
    if (isSent && isJson(c)) return await required(c, next);
    c.req.addValidatedData("json", schema.parse({}));
    await next();
  };
  return withDescription(optional, {
    requestBody: { required: false, content: { "application/json": { schema, example: schema.meta()?.example } } },
    wrongField: { pointer: `#/${Object.keys(schema.shape)[0]}`, message: "must be a string", code: "invalid_type" },
    problems: {
      ...bodilessProblems,
      invalid_request: "A field is invalid",
      malformed_json: "The body is not JSON",
      bodies_busy: "Too many request bodies are being read at the same time",
    },
  });
};
