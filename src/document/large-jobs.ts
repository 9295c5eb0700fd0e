import { BSON, type Document } from "mongodb";
import { readBson } from "../lib/bson/bson-reader.ts";
import { documentsIn } from "../lib/bson/raw-bson.ts";
import { parseBody, printExtendedJson, textOf } from "../lib/json/extended-json.ts";
import { fromStored } from "../tenant/document.ts";
import { keysOf } from "../tenant/query/page.ts";
import { type Projection, trimmer } from "../tenant/query/projection.ts";
import type { Sort } from "../tenant/query/sort.ts";
import { isOwn } from "../tenant/stored.ts";
import { patched } from "./patch.ts";
import { assertBytes, assertSize, digestOf, readDocuments } from "./read.ts";

// What is done on a thread with large documents and bodies, from bytes to bytes. JavaScript's objects of one would be some
// hundred megabytes, and take a second.

/** One of a list is as the tenant sees it, without what the projection leaves out; `sort`: where a next page has to begin. */
export type Listed = { isShared: boolean; projection: Projection; sort: Sort | null };

export type LargeJob =
  | { kind: "read"; body: ArrayBuffer; id: Uint8Array | null; isShown: boolean }
  | { kind: "patch"; stored: Uint8Array; id: Uint8Array; patch: Uint8Array }
  | { kind: "show"; fields: Uint8Array; id: Uint8Array }
  | { kind: "print"; documents: Uint8Array; listed?: Listed };

/**
 * An `id` is `{_id}`, in `read` if it is known without the body. `json` is a whole document. `read`: of each document `{_id, made}`
 * and then its fields; of a single one that is to be shown as JSON, too. `patch`: `set` is what is written of its fields, or `whole` all. `print`: of
 * each document how long its JSON is, and the values that it is sorted by, printed.
 */
export type LargeAnswer = {
  read: { isMany: boolean; digest: string; documents: Uint8Array; json: Uint8Array | null };
  patch: { json: Uint8Array } & ({ whole: Uint8Array } | { set: Uint8Array; unset: string[]; bytes: number });
  show: { json: Uint8Array };
  print: { json: Uint8Array; each: { length: number; keys: string }[] };
};
export type AnswerOf<Kind extends LargeJob["kind"]> = LargeAnswer[Kind];

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
const toBson = (value: Document): Uint8Array => BSON.serialize(value, { ignoreUndefined: true });
const never = () => null;

const printed = (id: unknown, fields: Document): Uint8Array => encode(printExtendedJson({ _id: id, ...fields }));

async function read({ body, id: known, isShown }: Extract<LargeJob, { kind: "read" }>): Promise<AnswerOf<"read">> {
  const text = textOf(body);
  const value = parseBody(text);
  const documents = await readDocuments(value, never);
  // The driver can't write what is much larger. Whether there is room for the `_id` too is seen when it is known.
  for (const { fields } of documents) assertBytes(BSON.calculateObjectSize(fields, { ignoreUndefined: true }));
  const isMany = Array.isArray(value);
  return {
    isMany,
    digest: digestOf(text),
    documents: Buffer.concat(
      documents.flatMap(({ id, isMade, fields }) => [toBson({ _id: id, made: isMade }), toBson(fields)]),
    ),
    json: isMany || !isShown ? null : printed(known ? readBson(known)._id : documents[0]!.id, documents[0]!.fields),
  };
}

function fieldsOf(stored: Uint8Array): Document {
  return Object.fromEntries(Object.entries(readBson(stored)).filter(([name]) => !isOwn(name)));
}

function patch({ stored, id, patch }: Extract<LargeJob, { kind: "patch" }>): AnswerOf<"patch"> {
  const current = { id: readBson(id)._id, fields: fieldsOf(stored), bytes: stored };
  const { fields, patching } = patched(current, readBson(patch));
  const json = printed(current.id, fields);
  if (patching) return { json, set: toBson(patching.set), unset: patching.unset, bytes: patching.bytes };
  assertSize({ id: current.id, fields });
  return { json, whole: toBson(fields) };
}

function print({ documents, listed }: Extract<LargeJob, { kind: "print" }>): AnswerOf<"print"> {
  const trim = listed && trimmer(listed.projection);
  const all = Array.from(documentsIn(documents), (bytes) => {
    const found = readBson(bytes);
    const own = listed ? fromStored(found, listed.isShared) : found;
    const keys = listed?.sort ? printExtendedJson(keysOf(listed.sort, own)) : "[]";
    return { json: encode(printExtendedJson(trim ? trim(own) : own)), keys };
  });
  return {
    json: Buffer.concat(all.map(({ json }) => json)),
    each: all.map(({ json, keys }) => ({ length: json.byteLength, keys })),
  };
}

export async function doLargeJob(job: LargeJob): Promise<LargeAnswer[LargeJob["kind"]]> {
  switch (job.kind) {
    case "read":
      return await read(job);
    case "patch":
      return patch(job);
    case "show":
      return { json: printed(readBson(job.id)._id, fieldsOf(job.fields)) };
    case "print":
      return print(job);
  }
}
