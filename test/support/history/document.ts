import { type Document, EJSON } from "bson";
import type { Seen } from "./history.ts";

export const patchFields = ["field_a", "field_b"] as const;

/** The id as text: the same for the same id, another for 42 and "42". */
export const keyOf = (id: unknown): string => EJSON.stringify(id as never, { relaxed: true });
export const idOf = (key: string): unknown => EJSON.parse(key, { relaxed: true });

/** The id as the API reads it in a path. */
export function pathOf(key: string): string {
  const id = JSON.parse(key);
  if (typeof id?.$oid === "string") return id.$oid;
  const bare = typeof id === "string" && /^[a-z][a-z_-]*$/.test(id) && !["true", "false", "null"].includes(id);
  return encodeURIComponent(bare ? id : key);
}

/** The body of an insert or a replace. What is said at both ends shows a document that is half of two writes. */
export const documentOf = (owner: string, value: string, padding: number): Document => ({
  owner,
  base: value,
  size: padding,
  padding: "x".repeat(padding),
  echo: value,
});

const known = new Set<string>(["_id", "owner", "base", "size", "padding", "echo", ...patchFields]);

/** Reads a document that the API or the database shows, with its logical id. */
export function readDocument(document: Document): Seen {
  const fields = patchFields.filter((name) => name in document).map((name) => [name, String(document[name])]);
  const { _id, owner, base, size, padding, echo } = document;
  const whole = typeof padding === "string" && padding.length === Number(size);
  return {
    key: keyOf(_id),
    owner: String(owner),
    base: String(base),
    echo: whole ? String(echo) : `${echo} with ${String(padding).length} of ${size} bytes`,
    fields: Object.fromEntries(fields),
    strange: Object.keys(document).filter((name) => !known.has(name)),
  };
}
