import type { ObjectId } from "mongodb";
import { type AdminDocument, emailKeys } from "../../admin/admin.ts";
import * as adminStore from "../../admin/store.ts";
import { isUnauthorized } from "../../lib/mongo/mongo.ts";
import type { Flow, Next, Operation, Step, StepDeps } from "../../operation/operation.ts";
import { hasBegunPlace } from "../../organization/leftovers.ts";
import type { OrganizationDocument } from "../../organization/organization.ts";
import * as organizationStore from "../../organization/store.ts";
import { offerPlace, placeKey, type Tier } from "../../tenant/placement.ts";
import { isRetired } from "../../tenant/place/retired.ts";
import { tierUnavailable } from "../../tenant/place/rights.ts";
import { createPlace } from "../../tenant/place/storage.ts";
import { askedOf, namesBefore } from "./asked.ts";
import { claimEmail, claimName } from "./claim.ts";
import { discardUnfinished } from "./discard.ts";
import { emailTaken, interrupted, nameTaken } from "../failures.ts";
import { freePlaces, whereOf } from "../place.ts";

export type ProvisionInput = { admin_id: ObjectId; tier: Tier };
export type ProvisionSecret = { organization_name: string; email: string; password_hash: string };
type Failed = { code: string; detail: string };
type Progress = { failed: Failed };
type ProvisionStep = Step<ProvisionInput, Progress>;

const namesOf = (operation: Operation<ProvisionInput>) => askedOf<ProvisionInput, ProvisionSecret>(operation);

/**
 * Makes an organization: its record (the name is taken), its admin (the email is taken), its collection; then it becomes
 * active, which is the switch. Until then nobody sees it, and whatever goes wrong, or takes over from a process that
 * died, undoes it: a caller who got no answer can send the same request again.
 */
const undo = (failed: Failed): Next<Progress> => ({ go: "undo", progress: { failed } });

const unlessTakenOver =
  (step: ProvisionStep): ProvisionStep =>
  async (deps, operation) =>
    operation.lease.fence > 1 ? undo(interrupted) : step(deps, operation);

/** Where the place can't be made for want of a right there is no organization. */
const ifAllowed =
  (step: ProvisionStep): ProvisionStep =>
  async (deps, operation) => {
    try {
      return await step(deps, operation);
    } catch (error) {
      if (!isUnauthorized(error)) throw error;
      deps.log.error({ operation_id: operation._id, err: error }, "database user lacks a right");
      return undo(tierUnavailable(operation.input.tier));
    }
  };

async function insertOrganization(
  deps: StepDeps,
  operation: Operation<ProvisionInput, Progress>,
): Promise<Next<Progress>> {
  const { db } = deps;
  const { organization_id, created_at, input } = operation;
  const { organization_name, email } = namesOf(operation);
  const where = whereOf(deps, { _id: organization_id, organization_name });
  const places =
    input.tier === "professional" ? freePlaces(deps, where, 1, 0) : [{ to: offerPlace(input.tier, where, 1) }];
  for await (const { to: placement } of places) {
    const organization: OrganizationDocument = {
      _id: organization_id,
      organization_name,
      email,
      created_at,
      updated_at: null,
      tier: placement.tier,
      region: placement.region,
      status: "provisioning",
      placement,
      place_keys: [placeKey(placement)],
    };
    const insert = () => organizationStore.insert(db, organization);
    const written = await claimName(deps, organization_name, insert);
    if (written === "written") return { go: "admin" };
    if (written === "name_taken") return undo(nameTaken);
  }
  return undo(nameTaken);
}

const insertAdmin: ProvisionStep = async (deps, operation) => {
  const { organization_id, created_at, input } = operation;
  const { organization_name, email, password_hash } = namesOf(operation);
  const admin: AdminDocument = {
    _id: input.admin_id,
    email,
    email_keys: emailKeys(email),
    password: password_hash,
    organization_id: organization_id.toHexString(),
    organization_name,
    created_at,
    updated_at: null,
  };
  const written = await claimEmail(deps, email, () => adminStore.insert(deps.db, admin));
  return written === "written" ? { go: "storage" } : undo(emailTaken);
};

const createStorage: ProvisionStep = async ({ db, deployments }, { organization_id }) => {
  const organization = await organizationStore.findById(db, organization_id);
  if (!organization?.placement) return undo(interrupted);
  const { placement } = organization;
  // Who had the place before has retired it before it could be claimed; and something may have come late in between.
  const isOwn = !(await isRetired(db, placement)) && (await createPlace(deployments, placement));
  return isOwn ? { go: "activate" } : undo(interrupted);
};

const activate: ProvisionStep = async ({ db }, { organization_id }) =>
  (await organizationStore.activate(db, organization_id)) ? { done: true } : undo(interrupted);

/** Unless it is active after all, when a process died right after the switch: then its caller may know, and it stays. */
const undoAll: ProvisionStep = async (deps, operation) => {
  const { organization_id } = operation;
  const discarded = await discardUnfinished(deps, organization_id, { untouched: !hasBegunPlace(operation) });
  return discarded ? { failed: operation.progress.failed ?? interrupted } : { done: true };
};

export const provision: Flow<ProvisionInput, Progress> = {
  first: "organization",
  acts(operation) {
    const { organization_name, tier, admin_id } = askedOf<ProvisionInput, ProvisionSecret>(operation);
    const details = { organization_name: String(organization_name), tier: String(tier), admin_id: String(admin_id) };
    return [{ act: "organization.create", details }];
  },
  view: ({ input }) => ({ to: input.tier }),
  places: () => [],
  endsOrganization: "failed",
  temporary: namesBefore,
  steps: {
    organization: unlessTakenOver(ifAllowed(insertOrganization)),
    admin: unlessTakenOver(insertAdmin),
    storage: unlessTakenOver(ifAllowed(createStorage)),
    activate: unlessTakenOver(activate),
    undo: undoAll,
  },
  undo: { organization: "undo", admin: "undo", storage: "undo", activate: "undo" },
};
