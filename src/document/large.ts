import { BSON, type ObjectId } from "mongodb";
import { readBson } from "../lib/bson/bson-reader.ts";
import { documentsIn } from "../lib/bson/raw-bson.ts";
import { failure } from "../lib/failure.ts";
import { createBudget } from "../lib/limit/budget.ts";
import { createSlice } from "../lib/slices.ts";
import { createThreads } from "../lib/threads.ts";
import { busy } from "../tenant/door.ts";
import { asPrinted, type Printed } from "../tenant/query/page.ts";
import type { FoundDocument } from "../tenant/scope.ts";
import { type LargeFields, largeFields } from "../tenant/stored.ts";
import type { DocumentFailure } from "./document.ts";
import type { AnswerOf, LargeJob, Listed } from "./large-jobs.ts";
import type { Patching } from "./patch.ts";
import type { ReadDocument } from "./read.ts";

/** A body that was read: `digest` tells it from any other. */
export type ReadBody = { documents: ReadDocument[]; isMany: boolean; digest(): string };

/**
 * What is done with large documents and bodies, so that nobody else waits for it.
 *
 * @throws Failure as what does it with small ones; `documents_busy` when too much that was read from the database waits for it
 * already; `timeout`
 */
export type Large = {
  /**
   * @param body is gone afterwards
   * @param id of the document, where it is known already
   * @param isShown what was sent is what is answered
   */
  read(body: ArrayBuffer, id?: unknown, isShown?: boolean): Promise<ReadBody>;
  patch(current: FoundDocument, patch: Uint8Array): Promise<{ fields: LargeFields; patching?: Patching }>;
  /** The document as its tenant is answered. @param isRead it comes from the database, and not from a body, which counts already */
  show(id: unknown, fields: LargeFields, isRead: boolean): Promise<Uint8Array>;
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

/** One for those of a few hundred kilobytes and two for larger ones: not many are in memory at once. */
const threadsMax = 3;
/** A document of so many bytes may take a second, one of the largest several. */
const heavyBytes = 2 * 1_048_576;

/** The largest takes a second or two; on a busy machine some more. */
const jobMsMax = 20_000;

const late = () =>
  failure<DocumentFailure>("timeout", "Processing the document took too long; the request was abandoned.");

/** @param storedBytesMax of documents that were read from the database, in all that waits for a thread or is on one */
export function createLargeThreads(program: URL, storedBytesMax: number): LargeThreads {
  const threads = createThreads<LargeJob, object>({ program, threadsMax, jobMsMax, late });
  // Of bodies there is one in `http/edge/receive.ts`.
  const budget = createBudget(storedBytesMax);
  const of = (organizationId: ObjectId, signal?: AbortSignal): Large => {
    const key = organizationId.toHexString();
    const run = async <Kind extends LargeJob["kind"]>(
      make: () => Extract<LargeJob, { kind: Kind }>,
      bytes: number,
      storedBytes = bytes,
    ): Promise<AnswerOf<Kind>> => {
      // One alone always fits.
      const taken = Math.min(storedBytes, Math.floor(storedBytesMax / 2));
      if (!budget.take(key, taken)) throw busy();
      try {
        return (await threads.run(key, make, bytes >= heavyBytes, signal)) as AnswerOf<Kind>;
      } finally {
        budget.giveBack(key, taken);
      }
    };
    return {
      async read(body, id, isShown = true) {
        const known = id === undefined ? null : idOf(id);
        const job = () => ({ kind: "read", body, id: known, isShown }) as const;
        const { isMany, digest, documents, json } = await run<"read">(job, body.byteLength, 0);
        return { isMany, digest: () => digest, documents: await split(documents, json, key) };
      },
      async patch({ id, bytes }, patch) {
        // The patch is asked for once more when another has written meanwhile.
        const job = () => ({ kind: "patch", stored: copyOf(bytes), id: idOf(id), patch: copyOf(patch) }) as const;
        const made = await run<"patch">(job, bytes.byteLength + patch.byteLength, bytes.byteLength);
        if ("whole" in made) return { fields: largeFields(made.whole, made.json) };
        const { json, set, unset, bytes: size } = made;
        return { fields: largeFields(set, json), patching: { set: largeFields(set), unset, bytes: size } };
      },
      async show(id, { bson, json }, isRead) {
        const job = () => ({ kind: "show", fields: copyOf(bson), id: idOf(id) }) as const;
        return json ?? (await run<"show">(job, bson.byteLength, isRead ? undefined : 0)).json;
      },
      async print(documents, listed) {
        const job = () => ({ kind: "print", documents: Buffer.concat(documents), ...(listed && { listed }) }) as const;
        const bytes = documents.reduce((sum, { byteLength }) => sum + byteLength, 0);
        const { json, each } = await run<"print">(job, bytes);
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
