import { ObjectId } from "mongodb";
import type { DriveDeps } from "../operation/drive.ts";
import { run } from "../operation/run.ts";
import { requestCancel } from "../operation/store.ts";
import type { Actor } from "../session/session.ts";
import { assertReachable } from "./reachable.ts";

const budgetMs = 20_000;

/**
 * Removes an admin's organization with its documents and its admins, whatever else is under way or stuck.
 *
 * @throws Failure `organization_not_found`, `operation_pending`; of `assertReachable`
 */
export async function removeOrganization(deps: DriveDeps, actor: Actor): Promise<void> {
  const { organizationId: organization_id } = actor;
  await assertReachable(deps, organization_id);
  // What is to be removed needn't arrive first.
  await requestCancel(deps.db, { organization_id, kind: "move" });
  await run(deps, { _id: new ObjectId(), organization_id, kind: "remove", input: {} }, budgetMs, true);
}
