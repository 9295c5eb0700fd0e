import type { ObjectId } from "mongodb";
import { type FieldError, failure } from "../lib/failure.ts";
import { type DoorDeps, withTenant } from "../tenant/door.ts";
import type { Refusal, TenantScope } from "../tenant/scope.ts";
import { firstMeta, type TenantDocument } from "../tenant/stored.ts";
import { assertSize } from "./change.ts";
import { type DocumentFailure, inDoubt } from "./document.ts";

export type NewDocument = Pick<TenantDocument, "id" | "fields">;

/** Which documents were refused, by their place among all, and why. */
export type Refused = { index: number; because: Refusal }[];

/**
 * Inserts documents, each by itself. Their ids and the write's are chosen before, so that the same insert may be done again:
 * what is there already by this very write is not there twice.
 *
 * @returns those that were refused; the others are stored
 * @throws Failure `document_too_large`, `write_in_doubt`; of `withTenant`
 */
export async function insertDocuments(
  deps: DoorDeps,
  organizationId: ObjectId,
  wanted: readonly NewDocument[],
  writeId: string,
): Promise<Refused> {
  for (const each of wanted) assertSize(each);
  const documents = wanted.map((each): TenantDocument => ({ ...each, meta: firstMeta(writeId) }));
  const ids = wanted.map(({ id }) => id);
  // What a try before this one has stored, perhaps at a place that the tenant has left.
  const stored = new Set<TenantDocument>();
  const refused = await withTenant(deps, organizationId, { write: ids }, async (scope) => {
    await assertBroughtAlong(scope, [...stored], writeId);
    const missing = documents.filter((document) => !stored.has(document));
    const outcomes = await insertMissing(scope, missing, writeId);
    const refusals = new Map<TenantDocument, Refusal>();
    for (const [index, outcome] of outcomes.entries()) {
      if (outcome === "written") stored.add(missing[index]!);
      else refusals.set(missing[index]!, outcome);
    }
    return refusals;
  });
  return documents.flatMap((document, index) => {
    const because = refused.get(document);
    return because === undefined ? [] : [{ index, because }];
  });
}

async function insertMissing(
  scope: TenantScope,
  documents: TenantDocument[],
  writeId: string,
): Promise<("written" | Refusal)[]> {
  if (documents.length === 0) return [];
  const outcomes = await scope.insert(documents);
  for (const [index, outcome] of outcomes.entries()) {
    if (outcome === "written") continue;
    const there = await scope.find(documents[index]!.id);
    if (there?.meta.h.includes(writeId)) outcomes[index] = "written";
  }
  return outcomes;
}

/** That a document isn't there any more may mean that it was left behind, or that another has removed it since. */
async function assertBroughtAlong(scope: TenantScope, documents: TenantDocument[], writeId: string): Promise<void> {
  for (const { id } of documents) {
    const there = await scope.find(id);
    if (!there?.meta.h.includes(writeId)) throw inDoubt();
  }
}

const refusals: Record<Refusal, { code: DocumentFailure; message: string }> = {
  id_taken: { code: "document_exists", message: "There is a document of this id already." },
  unique_taken: { code: "unique_violated", message: "Another document has the same value in a unique index." },
  unfit: { code: "index_unfit", message: "It has arrays in two fields of one index." },
};

/** What a caller is told whose documents were refused, some or all of them; `isMany`: they came in an array. */
export function refusalOf(documents: readonly NewDocument[], refused: Refused, isMany: boolean) {
  const errors = refused.map(({ index, because }): FieldError => {
    const { code, message } = refusals[because];
    const pointer = isMany ? `#/${index}` : "#";
    return { pointer: because === "id_taken" ? `${pointer}/_id` : pointer, code, message };
  });
  const [first] = (["id_taken", "unique_taken", "unfit"] as const).filter((each) =>
    refused.some(({ because }) => because === each),
  );
  const { code, message } = refusals[first!];
  if (!isMany) return failure(code, message, { errors });
  const places = new Set(refused.map(({ index }) => index));
  const inserted_ids = documents.filter((_, index) => !places.has(index)).map(({ id }) => id);
  const detail = `${errors.length} of ${documents.length} documents were refused; the others are stored.`;
  return failure(code, detail, { errors, members: { inserted_ids } });
}
