import type { ObjectId } from "mongodb";
import * as adminStore from "../admin/store.ts";
import type { Flow, Operation, Step, StepDeps } from "../operation/operation.ts";
import * as organizationStore from "../organization/store.ts";
import { dropCollection, hasDocuments, identify } from "../tenant/storage.ts";

export type DiscardInput = { admin_id: ObjectId };

/** Removes what an organization that never became active has left behind. Safe at any time: it touches no active one. */
export async function discardUnfinished({ db }: StepDeps, operation: Operation<DiscardInput>): Promise<void> {
  const { organization_id, input } = operation;
  const organization = await organizationStore.findById(db, organization_id);
  if (organization && organization.status !== "provisioning") return;
  await adminStore.remove(db, input.admin_id);
  if (!organization) return;
  if (organization.placement) {
    const { collection } = organization.placement;
    const storage = await identify(db, collection);
    if (storage && !(await hasDocuments(db, collection))) await dropCollection(db, collection, storage);
  }
  await organizationStore.removeRecord(db, organization_id, "provisioning");
}

const discardAll: Step<DiscardInput> = async (deps, operation) => {
  await discardUnfinished(deps, operation);
  return { done: true };
};

/** Carried out when somebody wants the name or the email that such an organization still holds. */
export const discard: Flow = { first: "discard", steps: { discard: discardAll } };
