import type { ObjectId } from "mongodb";
import { forgetSomeInserts } from "../../document/idempotency.ts";
import type { StepDeps } from "../../operation/operation.ts";
import { forgetEnded } from "../../operation/ended.ts";
import { areKept } from "../../quota/quota.ts";
import { remove as removeUsage } from "../../quota/store.ts";
import * as sessionStore from "../../session/session-store.ts";
import { removeNotes } from "../../tenant/copy/journal.ts";

/**
 * Removes what other records than its own say of an organization that is being removed: sessions, how much it has, remembered inserts,
 * notes of its moves, and all but the fact in its ended operations. The audit is kept (`AUDIT_RETENTION_DAYS`).
 */
export async function forgetOrganization(
  { db, config, flows, keepHeld }: Pick<StepDeps, "db" | "config" | "flows" | "keepHeld">,
  organizationId: ObjectId,
): Promise<void> {
  await sessionStore.removeByOrganization(db, organizationId);
  if (areKept(config.quotas)) await removeUsage(db, organizationId);
  while (await forgetSomeInserts(db, organizationId)) await keepHeld();
  for await (const operations of forgetEnded(db, organizationId)) {
    for (const { _id } of operations.filter(({ kind }) => flows[kind]?.takesNotes ?? true)) {
      await removeNotes(db, _id);
      await keepHeld();
    }
    await keepHeld();
  }
}
