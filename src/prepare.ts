import { setTimeout as sleep } from "node:timers/promises";
import { noteFounding } from "./admin/founding-store.ts";
import { createAdminIndexes } from "./admin/store.ts";
import { createAuditIndexes } from "./audit/store.ts";
import type { Deps } from "./deps.ts";
import { createIdempotencyIndexes } from "./document/idempotency.ts";
import { expiringIn } from "./expiry.ts";
import { createCounterIndexes } from "./lib/limit/counters.ts";
import { createExpiryIndex } from "./lib/mongo/expiry.ts";
import { assertFollowsPrimary } from "./lib/mongo/primary.ts";
import { createOperationIndexes } from "./operation/store.ts";
import { createOrganizationIndexes } from "./organization/store.ts";
import { areKept } from "./quota/quota.ts";
import { createUsageIndexes, removeAll as forgetUsage } from "./quota/store.ts";
import { createRevocationIndexes } from "./session/revocation/revocation-store.ts";
import { createSessionIndexes } from "./session/session-store.ts";
import { type Completed, takeOver } from "./takeover/take-over.ts";
import { createNoteIndexes } from "./tenant/copy/journal.ts";
import { createRetiredIndexes } from "./tenant/place/retired.ts";
import { reportLacks } from "./tenant/place/rights.ts";
import { createSharedCollection } from "./tenant/place/storage.ts";

/** Brings the database into the form that this version works with; any number of processes may do it at once. @returns what the first Croupier had left out */
export async function prepare(deps: Pick<Deps, "db" | "deployments" | "config" | "log">): Promise<Completed> {
  await assertFollowsPrimary(deps.db);
  await noteFounding(deps.db);
  await createOperationIndexes(deps.db);
  await createOrganizationIndexes(deps.db);
  await createAdminIndexes(deps.db);
  await createAuditIndexes(deps.db);
  await createNoteIndexes(deps.db);
  await createRetiredIndexes(deps.db);
  await createIdempotencyIndexes(deps.db);
  await createRevocationIndexes(deps.db);
  await createSessionIndexes(deps.db);
  for (const deployment of deps.deployments.all) await createSharedCollection(deployment);
  if (areKept(deps.config.quotas)) await createUsageIndexes(deps.db);
  if (deps.config.limits.store !== "memory") await createCounterIndexes(deps.db);
  for (const each of expiringIn(deps.config)) await createExpiryIndex(deps.db, each);
  return await takeOver(deps);
}

/** Prepares again and again until it is done: a service may be started before its database. */
export async function prepareUntilDone(deps: Deps, stopping: AbortSignal): Promise<boolean> {
  let reported = false;
  for (let pauseMs = 250; !stopping.aborted; pauseMs = Math.min(pauseMs * 2, 5_000)) {
    try {
      // When the first try to connect has failed the driver stays closed until it is told again.
      await Promise.all(
        [deps.deployments, deps.documents.deployments].flatMap(({ all }) =>
          all.map(({ home }) => home.client.connect()),
        ),
      );
      if (!reported) await reportLacks(deps);
      reported = true;
      await prepare(deps);
      // Not for a command, which may run with other settings beside services.
      if (!areKept(deps.config.quotas)) await forgetUsage(deps.db);
      await deps.presence.announce();
      await deps.revocations.start();
      return true;
    } catch (error) {
      deps.log.warn({ err: error }, "database not prepared yet");
      await sleep(pauseMs, undefined, { signal: stopping }).catch(() => {});
    }
  }
  return false;
}
