import { BSON, ObjectId } from "mongodb";
import { exactBson } from "../../lib/bson/bson.ts";
import { printExtendedJson } from "../../lib/json/extended-json.ts";
import { bsonType, documentOf, type Element, element, elementsOf, textValue } from "../../lib/bson/raw-bson.ts";
import { isShared, type Placement } from "../placement.ts";

/** A document as it is to be stored at another placement; `empty`: fields at its top that are an empty Timestamp. */
export type Portable = { id: unknown; bytes: Uint8Array; empty: string[] };

/** A document that no move can carry as it is: the operation stops, and shows which one it is and why. Logs don't. */
export const uncarried = (id: unknown, why: string): Error & { stops: true; shown: string } =>
  Object.assign(new Error("a document can't be copied as it is; the operation's error says which one and why"), {
    stops: true as const,
    shown: `the document with the _id ${printExtendedJson(id).slice(0, 500)} can't be copied as it is: ${why}`,
  });

/** What MongoDB stores, and FerretDB. */
const storedBytesMax = 16 * 1024 * 1024;
const unstamped = BSON.serialize({ v: 0, h: [] });

/**
 * Makes a stored document of one placement one of another, without decoding it: every field of the tenant's stays byte for
 * byte, in its order. Croupier's own stand at the end.
 *
 * @throws as `uncarried`
 */
export function toStage(source: Placement, stage: Placement, stored: Uint8Array): Portable {
  let own: Element | undefined;
  let meta: Uint8Array = unstamped;
  const fields: Element[] = [];
  for (const field of elementsOf(stored)) {
    if (field.name === "_id") own = field;
    else if (field.name === "_croupier") meta = field.value;
    else if (field.name !== "tenant_id") fields.push(field);
  }
  const { type, value } = idElement(source, own!);
  const id = exactId(type, value);
  const key = element(bsonType.string, "t", textValue(stage.key));
  const bytes = documentOf([
    isShared(stage)
      ? element(bsonType.object, "_id", documentOf([key, element(type, "i", value)]))
      : element(type, "_id", value),
    ...fields.map((field) => field.bytes),
    element(bsonType.string, "tenant_id", textValue(stage.key)),
    element(bsonType.object, "_croupier", meta),
  ]);
  // Of one that is too large the servers don't say which of a statement it is.
  if (bytes.byteLength > storedBytesMax) throw uncarried(id, "with what the service adds it is larger than 16 MiB");
  return { id, bytes, empty: emptyOf(id, fields) };
}

/** The tenant's id in the `_id` that is stored. */
function idElement(placement: Placement, stored: Pick<Element, "type" | "value">) {
  if (!isShared(placement)) return stored;
  return elementsOf(stored.value).find(({ name }) => name === "i")!;
}

const objectId = 7;

/**
 * An id, made of its bytes. The database is asked by it, so it has to become the same bytes again.
 *
 * @throws as `uncarried`
 */
export function exactId(type: number, value: Uint8Array): unknown {
  // Most are one, and it has one form only.
  if (type === objectId) return new ObjectId(Uint8Array.from(value));
  const bytes = documentOf([element(type, "i", value)]);
  const id = BSON.deserialize(bytes, { ...exactBson, validation: { utf8: false } }).i;
  if (isNaNOf(id) || isSame(id, bytes)) return id;
  throw uncarried(
    id,
    "JavaScript can't represent this _id: text that isn't UTF-8, a date out of range, or names in another order",
  );
}

const isNaNOf = (id: unknown) => id instanceof BSON.Double && Number.isNaN(id.value);

function isSame(id: unknown, bytes: Uint8Array): boolean {
  try {
    return Buffer.compare(BSON.serialize({ i: id }), bytes) === 0;
  } catch {
    return false;
  }
}

/** The names of fields that are an empty Timestamp. @throws as `uncarried` when one can't be set by its name */
function emptyOf(id: unknown, fields: readonly Element[]): string[] {
  const empty = fields.filter(({ type, value }) => type === bsonType.timestamp && value.every((byte) => byte === 0));
  return empty.map(({ name }) => {
    const text = Buffer.from(name, "latin1").toString();
    const isOne = fields.filter((field) => field.name === name).length === 1;
    const isText = Buffer.from(text).toString("latin1") === name;
    if (isOne && isText && text !== "" && !text.startsWith("$") && !text.includes(".")) return text;
    throw uncarried(id, "it has an empty Timestamp in a field that can't be set by its name");
  });
}
