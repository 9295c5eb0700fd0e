import type { ObjectId } from "mongodb";
import { type FieldError, failure } from "../lib/failure.ts";
import { type DoorDeps, withTenant } from "../tenant/door.ts";
import type { TenantScope, Written } from "../tenant/scope.ts";
import { firstMeta, type TenantDocument } from "../tenant/stored.ts";
import { assertSize } from "./change.ts";
import { type DocumentFailure, inDoubt } from "./document.ts";

export type NewDocument = Pick<TenantDocument, "id" | "fields">;

/**
 * Inserts documents, each by itself. Their ids and the write's are chosen before, so that the same insert may be done again:
 * what is there already by this very write is not there twice.
 *
 * @returns the documents as they are stored
 * @throws Failure `document_exists` or `unique_violated`: its `errors` name those that were refused; the others are stored.
 * `document_too_large`, `write_in_doubt`; of `withTenant`
 */
export async function insertDocuments(
  deps: DoorDeps,
  organizationId: ObjectId,
  wanted: readonly NewDocument[],
  writeId: string,
): Promise<TenantDocument[]> {
  for (const each of wanted) assertSize(each);
  const documents = wanted.map((each): TenantDocument => ({ ...each, meta: firstMeta(writeId) }));
  const ids = wanted.map(({ id }) => id);
  // What a try before this one has stored, perhaps at a place that the tenant has left.
  const stored = new Set<TenantDocument>();
  const refused = await withTenant(deps, organizationId, { write: ids }, async (scope) => {
    await assertBroughtAlong(scope, [...stored], writeId);
    const missing = documents.filter((document) => !stored.has(document));
    const outcomes = await insertMissing(scope, missing, writeId);
    for (const [index, outcome] of outcomes.entries()) if (outcome === "written") stored.add(missing[index]!);
    return new Map(outcomes.flatMap((outcome, index) => (outcome === "written" ? [] : [[missing[index]!, outcome]])));
  });
  if (refused.size > 0) throw refusal(documents, refused);
  return documents;
}

async function insertMissing(scope: TenantScope, documents: TenantDocument[], writeId: string): Promise<Written[]> {
  if (documents.length === 0) return [];
  const outcomes = await scope.insert(documents);
  for (const [index, outcome] of outcomes.entries()) {
    if (outcome !== "id_taken") continue;
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

function refusal(documents: TenantDocument[], refused: Map<TenantDocument, Written>) {
  const errors = documents.flatMap((document, index): FieldError[] => {
    const outcome = refused.get(document);
    const pointer = documents.length === 1 ? "#" : `#/${index}`;
    if (outcome === undefined) return [];
    return outcome === "id_taken"
      ? [{ pointer: `${pointer}/_id`, code: "document_exists", message: "There is a document of this id already." }]
      : [{ pointer, code: "unique_violated", message: "Another document has the same value in a unique index." }];
  });
  const code = errors.every((error) => error.code === "unique_violated") ? "unique_violated" : "document_exists";
  const detail =
    documents.length === 1
      ? errors[0]!.message
      : `${errors.length} of ${documents.length} documents were refused; the others are stored.`;
  return failure<DocumentFailure>(code, detail, { errors });
}
