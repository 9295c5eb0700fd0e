import type { ObjectId } from "mongodb";
import * as adminStore from "../../admin/store.ts";
import { unlessUnauthorized } from "../../lib/mongo/mongo.ts";
import type { Flow, Step, StepDeps } from "../../operation/operation.ts";
import type { OrganizationDocument } from "../../organization/organization.ts";
import * as organizationStore from "../../organization/store.ts";
import { isShared } from "../../tenant/placement.ts";
import { identify, isBare, removePlace } from "../../tenant/place/storage.ts";
import { forgetOrganization } from "./forget.ts";

/** `untouched`: nothing was ever made at the organization's place. `admin_id` is for the version before. */
export type DiscardInput = { admin_id?: ObjectId; untouched?: boolean };

/**
 * Removes what an organization that never became active has left behind; its record goes last.
 *
 * @returns false when it is active after all: then nothing is touched
 */
export async function discardUnfinished(
  deps: StepDeps,
  organization_id: ObjectId,
  { untouched = false }: DiscardInput,
): Promise<boolean> {
  const { db, deployments } = deps;
  let organization: OrganizationDocument | null;
  do {
    await organizationStore.startDiscarding(db, organization_id);
    organization = await organizationStore.findById(db, organization_id);
    // It has come late, from who was overtaken, in between.
  } while (organization?.status === "provisioning");
  if (organization && organization.status !== "deleting") return false;
  await adminStore.removeAll(db, organization_id);
  const placement = organization?.placement;
  // In the shared collection there is nothing yet.
  if (placement && !isShared(placement) && !untouched) {
    // A database that may not be looked into any more held nothing but an empty collection.
    const identity = await unlessUnauthorized(() => identify(deployments, placement));
    // Anything else was there before, or came from others.
    if (identity && (await isBare(deployments, placement))) await removePlace(deployments, placement, identity, deps);
  }
  await forgetOrganization(deps, organization_id);
  await organizationStore.removeRecord(db, organization_id, { untouched });
  return true;
}

const discardAll: Step<DiscardInput> = async (deps, { organization_id, input }) => {
  await discardUnfinished(deps, organization_id, input);
  return { done: true };
};

/** Carried out when somebody wants the name or the email that such an organization still holds. */
export const discard: Flow<DiscardInput> = {
  first: "discard",
  steps: { discard: discardAll },
  acts: () => [],
  view: () => ({}),
  places: () => [],
  endsOrganization: "succeeded",
};
