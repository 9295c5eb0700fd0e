import type { ObjectId } from "mongodb";
import * as adminStore from "../admin/store.ts";
import type { Flow, Operation, Step, StepDeps } from "../operation/operation.ts";
import * as organizationStore from "../organization/store.ts";
import { isShared } from "../tenant/placement.ts";
import { hasDocuments, identify, removePlace } from "../tenant/storage.ts";
import { forgetOrganization } from "./forget.ts";

export type DiscardInput = { admin_id: ObjectId };

/**
 * Removes what an organization that never became active has left behind; its record goes last.
 *
 * @returns false when it is active after all: then nothing is touched
 */
export async function discardUnfinished(
  deps: StepDeps,
  { organization_id, input }: Operation<DiscardInput>,
): Promise<boolean> {
  const { db } = deps;
  const given = await organizationStore.startDiscarding(db, organization_id);
  const organization = await organizationStore.findById(db, organization_id);
  if (organization && !given) return false;
  await adminStore.remove(db, input.admin_id);
  const placement = organization?.placement;
  // In the shared collection there is nothing yet.
  if (placement && !isShared(placement)) {
    const identity = await identify(db, placement);
    // A place that was free is taken over as it was found: with documents in it, it isn't ours to remove.
    if (identity && !(await hasDocuments(db, placement))) await removePlace(db, placement, identity, deps);
  }
  await forgetOrganization(deps, organization_id);
  await organizationStore.removeRecord(db, organization_id);
  return true;
}

const discardAll: Step<DiscardInput> = async (deps, operation) => {
  await discardUnfinished(deps, operation);
  return { done: true };
};

/** Carried out when somebody wants the name or the email that such an organization still holds. */
export const discard: Flow = { first: "discard", steps: { discard: discardAll } };
