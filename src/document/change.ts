import { setTimeout as sleep } from "node:timers/promises";
import type { Document, ObjectId } from "mongodb";
import { failure } from "../lib/failure.ts";
import { etagOf } from "../tenant/etag.ts";
import { type DoorDeps, withTenant } from "../tenant/door.ts";
import type { FoundDocument, TenantScope } from "../tenant/scope.ts";
import { type LargeFields, nextMeta, type TenantDocument } from "../tenant/stored.ts";
import {
  type DocumentFailure,
  documentMissing,
  documentRefused,
  type Effect,
  inDoubt,
  indexUnfit,
  newWriteId,
  recognize,
  uniqueViolated,
} from "./document.ts";
import { markRemoved } from "./idempotency.ts";
import type { Patching } from "./patch.ts";
import { assertBytes, assertSize } from "./read.ts";

/**
 * What is to become of a document: its new fields, all of them or by what a patch changes, or `null` to remove it. May throw a
 * failure instead.
 */
export type Change = (current: FoundDocument) => Changed | null | Promise<Changed>;
export type Changed = { fields: Document | LargeFields; patching?: Patching };

/** Whether a document is one that the caller means, by its ETag; without a condition all are. */
export type Condition = (current: TenantDocument | null) => boolean;

const conflictsMax = 30;

/**
 * Changes one document: reads it, decides, and writes if it is still the same, again and again until it was.
 *
 * @returns the document as this write made it; null when it was removed
 * @throws Failure `document_not_found`, `precondition_failed`, `unique_violated`, `index_unfit`, `document_refused`, `document_too_large`,
 * `write_conflict`, `write_in_doubt`; of `withTenant`
 */
export async function changeDocument(
  deps: DoorDeps,
  organizationId: ObjectId,
  id: unknown,
  isMeant: Condition,
  change: Change,
): Promise<TenantDocument | null> {
  const writeId = newWriteId();
  let effect: Effect | null = null;
  return await withTenant(deps, organizationId, { write: [id] }, async (scope) => {
    for (let conflicts = 0; conflicts < conflictsMax; conflicts++) {
      if (conflicts > 0) await sleep(Math.random() * 2 * conflicts);
      const current = await scope.find(id);
      if (effect) {
        const verdict = recognize(current, effect, writeId);
        if (verdict === "in_doubt") throw inDoubt();
        if (verdict === "brought_along") return effect.made;
        effect = null;
      }
      if (!isMeant(current)) throw preconditionFailed(current);
      if (!current) throw documentMissing();
      const changed = await change(current);
      const made = changed && { id: current.id, fields: changed.fields, meta: nextMeta(current.meta, writeId) };
      if (changed?.patching) assertBytes(changed.patching.bytes);
      else if (made) assertSize(made);
      else if (current.meta.k) await markRemoved(deps.db, current.meta.k, id);
      if (await write(scope, made, current, changed?.patching)) {
        effect = { found: current.meta, made };
        return made;
      }
    }
    throw failure<DocumentFailure>("write_conflict", "Too many others write this document; try again.", {
      retryAfterSeconds: 1,
    });
  });
}

async function write(
  scope: TenantScope,
  made: TenantDocument | null,
  current: TenantDocument,
  patching: Patching | undefined,
): Promise<boolean> {
  const written = !made
    ? await scope.remove(current)
    : patching
      ? await scope.change(patching, made.meta, current)
      : await scope.replace(made, current);
  if (written === "unique_taken") throw uniqueViolated();
  if (written === "unfit") throw indexUnfit();
  if (written === "refused") throw documentRefused();
  return written === "written";
}

/** @param current as it is now, null when there is none */
export const preconditionFailed = (current: TenantDocument | null) =>
  failure<DocumentFailure>("precondition_failed", "The document is not one that the conditions allow; read it again.", {
    ...(current && { etag: etagOf(current.meta) }),
  });
