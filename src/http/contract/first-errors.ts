import * as z from "zod";
import type { FieldError } from "../../lib/failure.ts";

/** The endpoints of the first Croupier that are still the same, as OpenAPI has them. */
const firstEndpoints: ReadonlySet<string> = new Set([
  "POST /org/create",
  "GET /org/get",
  "PUT /org/update",
  "DELETE /org/delete",
  "POST /admin/login",
]);
export const isOfFirst = (method: string, path: string): boolean => firstEndpoints.has(`${method} ${path}`);

/** What the first Croupier (FastAPI on pydantic) answered with 422. */
export const firstErrorsSchema = z
  .object({
    detail: z
      .array(
        z.object({
          loc: z.array(z.union([z.string(), z.int()])).meta({ example: ["body", "password"] }),
          msg: z.string().meta({ example: "must contain a digit" }),
          type: z.string().meta({ example: "value_error" }),
        }),
      )
      .meta({ example: [{ loc: ["body", "password"], msg: "must contain a digit", type: "value_error" }] }),
  })
  .meta({ id: "HTTPValidationError", description: "As the first Croupier had it, with VALIDATION_ERRORS=v1" });
export type FirstErrors = z.infer<typeof firstErrorsSchema>;

/** `#/password` is `["body", "password"]`, `?organization_name` is `["query", "organization_name"]`. */
function locationOf(pointer: string): string[] {
  if (pointer.startsWith("?")) return ["query", pointer.slice(1)];
  const names = pointer.split("/").slice(1);
  return ["body", ...names.map((name) => name.replaceAll("~1", "/").replaceAll("~0", "~"))];
}

/** In pydantic's words where a client may look at them. */
function entryOf({ pointer, message, code }: FieldError): FirstErrors["detail"][number] {
  const loc = locationOf(pointer);
  if (message === "is missing") return { loc, msg: "field required", type: "value_error.missing" };
  if (code === "unrecognized_keys") return { loc, msg: "extra fields not permitted", type: "value_error.extra" };
  if (code !== "invalid_type") return { loc, msg: message, type: "value_error" };
  return loc.length === 1
    ? { loc, msg: "value is not a valid dict", type: "type_error.dict" }
    : { loc, msg: "str type expected", type: "type_error.str" };
}

/** The same of a body that was no JSON, or wasn't sent as JSON. */
const ofBody: Record<string, FirstErrors["detail"]> = {
  malformed_json: [{ loc: ["body", 0], msg: "the body is not JSON", type: "value_error.jsondecode" }],
  unsupported_content_type: [{ loc: ["body"], msg: "value is not a valid dict", type: "type_error.dict" }],
};

/** A refusal with 422 as the first Croupier would have answered it. */
export const firstErrorsOf = (refusal: { failure: string; message: string; errors?: FieldError[] }): FirstErrors => ({
  detail:
    ofBody[refusal.failure] ?? (refusal.errors ?? [{ pointer: "#", message: refusal.message, code: "" }]).map(entryOf),
});
