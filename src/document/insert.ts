import type { ObjectId } from "mongodb";
import { type FieldError, failure } from "../lib/failure.ts";
import { createSlice } from "../lib/slices.ts";
import type { Amount } from "../quota/quota.ts";
import { growing } from "../quota/usage.ts";
import { withTenant } from "../tenant/door.ts";
import type { Refusal, TenantScope } from "../tenant/scope.ts";
import { idKey } from "../tenant/document-id.ts";
import { firstMeta, type Meta, type TenantDocument } from "../tenant/stored.ts";
import { type DocumentFailure, inDoubt, refusedBy, type WriteDeps } from "./document.ts";
import { assertSize, type NewDocument } from "./read.ts";

/** Which documents were refused, by their place among all, and why. */
export type Refused = { index: number; because: Refusal }[];

/**
 * Inserts documents, each by itself. Their ids and the write's are chosen before, so that the same insert may be done again:
 * what is there already by this very write is not there twice.
 *
 * @param write its id, and the key of the insert where that may be sent again: then a document carries it for as long as it lives
 * @returns those that were refused; the others are stored
 * @throws Failure `document_too_large`, `quota_exceeded` (then none is stored), `write_in_doubt`; of `withTenant`
 */
export async function insertDocuments(
  deps: WriteDeps,
  organizationId: ObjectId,
  wanted: readonly NewDocument[],
  write: InsertWrite,
): Promise<Refused> {
  const slice = createSlice(organizationId.toHexString());
  const bytes = new Map<TenantDocument, number>();
  for (const each of wanted) {
    bytes.set({ ...each, meta: firstMeta(write.id, write.key) }, assertSize(each));
    const pause = slice();
    if (pause) await pause;
  }
  const documents = [...bytes.keys()];
  const ids = wanted.map(({ id }) => id);
  // What a try before this one has stored, perhaps at a place that the tenant has left.
  const stored = new Set<TenantDocument>();
  const refused = await withTenant(deps, organizationId, { write: ids }, async (scope) => {
    await assertBroughtAlong(scope, [...stored], write);
    const missing = documents.filter((document) => !stored.has(document));
    const insert = (some: readonly TenantDocument[]) => {
      const sizeOf = (document: TenantDocument) => bytes.get(document)!;
      const sizes = some.map(sizeOf);
      const whose = { organizationId, tier: scope.placement.tier };
      return growing(deps.usage, whose, totalOf(sizes), async () => {
        const outcome = await scope.insert(some, sizeOf);
        return { outcome, grown: totalOf(sizes.filter((_, index) => outcome[index] === "written")) };
      });
    };
    const outcomes = await insertMissing(scope, missing, write, insert);
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

const totalOf = (sizes: readonly number[]): Amount => ({
  documents: sizes.length,
  bytes: sizes.reduce((sum, size) => sum + size, 0),
});

/** `isAgain`: it was sent before, so that much of it may be there. */
export type InsertWrite = { id: string; key?: string; isAgain?: boolean };

const isMadeBy = ({ id, key }: InsertWrite, there: Meta | undefined): boolean =>
  there !== undefined && (there.h.includes(id) || (key !== undefined && there.k === key));

async function insertMissing(
  scope: TenantScope,
  documents: TenantDocument[],
  write: InsertWrite,
  insert: (missing: readonly TenantDocument[]) => Promise<("written" | Refusal)[]>,
): Promise<("written" | Refusal)[]> {
  const madeBefore = await findMade(scope, write.isAgain ? documents : [], write);
  const missing = documents.filter((document) => !madeBefore.has(document));
  if (missing.length === 0) return documents.map(() => "written");
  const outcomes = new Map((await insert(missing)).map((outcome, index) => [missing[index]!, outcome]));
  const made = await findMade(
    scope,
    missing.filter((document) => outcomes.get(document) !== "written"),
    write,
  );
  return documents.map((document) => (made.has(document) ? "written" : (outcomes.get(document) ?? "written")));
}

/** Those that this write has stored, now or when it was sent before. */
async function findMade(scope: TenantScope, documents: TenantDocument[], write: InsertWrite) {
  if (documents.length === 0) return new Set<TenantDocument>();
  const metas = await scope.findMetas(documents.map(({ id }) => id));
  return new Set(documents.filter(({ id }) => isMadeBy(write, metas.get(idKey(id)))));
}

/** That a document isn't there any more may mean that it was left behind, or that another has removed it since. */
async function assertBroughtAlong(scope: TenantScope, documents: TenantDocument[], write: InsertWrite): Promise<void> {
  if ((await findMade(scope, documents, write)).size < documents.length) throw inDoubt();
}

const refusals: Record<Refusal, { code: DocumentFailure; message: string }> = {
  id_taken: { code: "document_exists", message: "A document with this id already exists." },
  unique_taken: { code: "unique_violated", message: "Another document has the same value in a unique index." },
  unfit: {
    code: "index_unfit",
    message: "It has something that an index can't hold: arrays in two of its fields, or a numeric field name.",
  },
  refused: { code: "document_refused", message: refusedBy },
};

/** So many refused documents are named in one answer. */
export const toldMax = 1_000;

/**
 * What a caller is told whose documents were refused, some or all of them: the first of those, and the ids of all others.
 *
 * @param isMany they came in an array
 */
export function refusalOf(documents: readonly NewDocument[], refused: Refused, isMany: boolean) {
  const errors = refused.slice(0, toldMax).map(({ index, because }): FieldError => {
    const { code, message } = refusals[because];
    const pointer = isMany ? `#/${index}` : "#";
    return { pointer: because === "id_taken" ? `${pointer}/_id` : pointer, code, message };
  });
  const [first] = (["id_taken", "unique_taken", "unfit", "refused"] as const).filter((each) =>
    refused.some(({ because }) => because === each),
  );
  const { code, message } = refusals[first!];
  if (!isMany) return failure(code, message, { errors });
  const places = new Set(refused.map(({ index }) => index));
  const inserted_ids = documents.filter((_, index) => !places.has(index)).map(({ id }) => id);
  const more = refused.length > toldMax ? ` The first ${toldMax} that were rejected are listed.` : "";
  const detail = `${refused.length} of ${documents.length} documents were rejected; the others are stored.${more}`;
  return failure(code, detail, { errors, members: { inserted_ids } });
}
