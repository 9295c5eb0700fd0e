import { setTimeout as sleep } from "node:timers/promises";
import type { Document, ObjectId } from "mongodb";
import { failure } from "../lib/failure.ts";
import { etagOf } from "../tenant/etag.ts";
import { type Amount, nothing } from "../quota/quota.ts";
import { growing } from "../quota/usage.ts";
import { aside, withTenant } from "../tenant/door.ts";
import type { FoundDocument, TenantScope, Written } from "../tenant/scope.ts";
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
  type WriteDeps,
} from "./document.ts";
import { markRemoved } from "./idempotency.ts";
import { bytesOf, type Patching } from "./patch.ts";
import { assertBytes, assertSize } from "./read.ts";

/**
 * What is to become of a document: its new fields, all of them or by what a patch changes, or `null` to remove it. A function
 * finds that out where it takes long, as on a thread. May throw a failure instead.
 */
export type Change = (current: FoundDocument) => Changed | null | (() => Promise<Changed>);
export type Changed = { fields: Document | LargeFields; patching?: Patching };

/** Whether a document is one that the caller means, by its ETag; without a condition all are. */
export type Condition = (current: TenantDocument | null) => boolean;

const conflictsMax = 30;

/**
 * Changes one document: reads it, decides, and writes if it is still the same, again and again until it was.
 *
 * @returns the document as this write made it; null when it was removed
 * @throws Failure `document_not_found`, `precondition_failed`, `unique_violated`, `index_unfit`, `document_refused`, `document_too_large`,
 * `quota_exceeded`, `write_conflict`, `write_in_doubt`; of `withTenant`
 */
export async function changeDocument(
  deps: WriteDeps,
  organizationId: ObjectId,
  id: unknown,
  isMeant: Condition,
  change: Change,
): Promise<TenantDocument | null> {
  const writeId = newWriteId();
  let ready: { current: FoundDocument; changed: Changed } | null = null;
  let conflicts = 0;
  let effect: Effect | null = null;
  let grown: Amount = nothing;
  return await withTenant(deps, organizationId, { write: [id] }, async (scope) => {
    for (; conflicts < conflictsMax; conflicts++) {
      const prepared = ready;
      ready = null;
      if (conflicts > 0 && !prepared) await sleep(Math.random() * 2 * conflicts);
      const current = prepared?.current ?? (await scope.find(id));
      if (effect) {
        const verdict = recognize(current, effect, writeId);
        if (verdict === "in_doubt") throw inDoubt();
        if (verdict === "brought_along") return effect.made;
        deps.usage?.shrunk(organizationId, grown);
        effect = null;
      }
      if (!isMeant(current)) throw preconditionFailed(current);
      if (!current) throw documentMissing();
      const changed = prepared?.changed ?? change(current);
      if (typeof changed === "function") {
        throw aside(async () => {
          ready = { current, changed: await changed() };
        });
      }
      const made = changed && { id: current.id, fields: changed.fields, meta: nextMeta(current.meta, writeId) };
      const bytes = changed?.patching ? assertBytes(changed.patching.bytes) : made ? assertSize(made) : 0;
      if (!made && current.meta.k) await markRemoved(deps.db, current.meta.k, id);
      const more = deps.usage ? { documents: made ? 0 : -1, bytes: bytes - bytesOf(current) } : nothing;
      const need = { documents: 0, bytes: Math.max(0, more.bytes) };
      const whose = { organizationId, tier: scope.placement.tier };
      const written = await growing(deps.usage, whose, need, async () => {
        const outcome = await write(scope, made, current, changed?.patching);
        return { outcome, grown: outcome === "written" ? more : nothing };
      });
      if (isWritten(written)) {
        effect = { found: current.meta, made };
        grown = more;
        return made;
      }
    }
    throw failure<DocumentFailure>("write_conflict", "Too many other requests are writing this document; try again.", {
      retryAfterSeconds: 1,
    });
  });
}

const write = (
  scope: TenantScope,
  made: TenantDocument | null,
  current: TenantDocument,
  patching: Patching | undefined,
): Promise<Written> =>
  !made ? scope.remove(current) : patching ? scope.change(patching, made.meta, current) : scope.replace(made, current);

/** @throws Failure when it was refused */
function isWritten(written: Written): boolean {
  if (written === "unique_taken") throw uniqueViolated();
  if (written === "unfit") throw indexUnfit();
  if (written === "refused") throw documentRefused();
  return written === "written";
}

/** @param current as it is now, null when there is none */
export const preconditionFailed = (current: TenantDocument | null) =>
  failure<DocumentFailure>(
    "precondition_failed",
    "The document doesn't match If-Match or If-None-Match; read it again.",
    {
      ...(current && { etag: etagOf(current.meta) }),
    },
  );
