import { BSON, type ObjectId } from "mongodb";
import { readBson } from "../lib/bson/bson-reader.ts";
import { documentsIn } from "../lib/bson/raw-bson.ts";
import { createSlice } from "../lib/slices.ts";
import { createThreads } from "../lib/threads.ts";
import { asPrinted, type Printed } from "../tenant/query/page.ts";
import type { FoundDocument } from "../tenant/scope.ts";
import { type LargeFields, largeFields } from "../tenant/stored.ts";
import type { AnswerOf, LargeJob, Listed } from "./large-jobs.ts";
import type { Patching } from "./patch.ts";
import type { ReadDocument } from "./read.ts";

/** A body that was read: `digest` tells it from any other. */
export type ReadBody = { documents: ReadDocument[]; isMany: boolean; digest(): string };

/** What is done with large documents and bodies, so that nobody else waits for it. Throws as what does it with small ones. */
export type Large = {
  /** @param body is gone afterwards. @param id of the document, where it is known already */
  read(body: ArrayBuffer, id?: unknown): Promise<ReadBody>;
  patch(current: FoundDocument, patch: Uint8Array): Promise<{ fields: LargeFields; patching?: Patching }>;
  /** The document as its tenant is answered. */
  show(id: unknown, fields: LargeFields): Promise<Uint8Array>;
  /**
   * All of a page in one turn, or it would wait for others' work as often as it has documents.
   *
   * @param listed undefined: as they are
   */
  print(documents: readonly Uint8Array[], listed?: Listed): Promise<Printed[]>;
};

export type LargeThreads = {
  /** @param signal ends the waiting for a thread */
  of(organizationId: ObjectId, signal?: AbortSignal): Large;
  close(): void;
};

/** Two: a document of a few hundred kilobytes doesn't wait for one of the largest, and not many are in memory at once. */
const threadsMax = 2;

export function createLargeThreads(program: URL): LargeThreads {
  const threads = createThreads<LargeJob, object>({ program, threadsMax });
  const of = (organizationId: ObjectId, signal?: AbortSignal): Large => {
    const key = organizationId.toHexString();
    const run = <Kind extends LargeJob["kind"]>(make: () => Extract<LargeJob, { kind: Kind }>) =>
      threads.run(key, make, signal) as Promise<AnswerOf<Kind>>;
    return {
      async read(body, id) {
        const known = id === undefined ? null : idOf(id);
        const { isMany, digest, documents, json } = await run<"read">(() => ({ kind: "read", body, id: known }));
        return { isMany, digest: () => digest, documents: await split(documents, json, key) };
      },
      async patch({ id, bytes }, patch) {
        const made = await run<"patch">(() => ({
          kind: "patch",
          stored: copyOf(bytes),
          id: idOf(id),
          // Asked for once more when another has written meanwhile.
          patch: copyOf(patch),
        }));
        if ("whole" in made) return { fields: largeFields(made.whole, made.json) };
        const { json, set, unset, bytes: size } = made;
        return { fields: largeFields(set, json), patching: { set: largeFields(set), unset, bytes: size } };
      },
      async show(id, { bson, json }) {
        return json ?? (await run<"show">(() => ({ kind: "show", fields: copyOf(bson), id: idOf(id) }))).json;
      },
      async print(documents, listed) {
        const job = () => ({ kind: "print", documents: Buffer.concat(documents), ...(listed && { listed }) }) as const;
        const { json, each } = await run<"print">(job);
        let end = 0;
        return each.map(({ length, keys }) => asPrinted({ json: json.subarray(end, (end += length)), keys }));
      },
    };
  };
  return { of, close: threads.close };
}

const idOf = (_id: unknown): Uint8Array => BSON.serialize({ _id });

/** In memory of its own, which can go over to a thread. */
const copyOf = (bytes: Uint8Array): Uint8Array => new Uint8Array(bytes);

/** Each document has its `_id` before it. */
async function split(bytes: Uint8Array, json: Uint8Array | null, key: string): Promise<ReadDocument[]> {
  const slice = createSlice(key);
  const documents: ReadDocument[] = [];
  const parts = documentsIn(bytes);
  for (const head of parts) {
    const { _id: id, made } = readBson(head);
    documents.push({ id, isMade: made, fields: largeFields(parts.next().value!, json ?? undefined) });
    const pause = slice();
    if (pause) await pause;
  }
  return documents;
}
