import { ObjectId } from "mongodb";
import type { NewEntry } from "../audit/audit.ts";
import { type AuditDeps, audited } from "../audit/audited.ts";
import { askedEntry } from "../audit/operations.ts";
import type { Deps } from "../deps.ts";
import { failure } from "../lib/failure.ts";
import { type DriveDeps, enqueue, type OperationFailure } from "../operation/drive.ts";
import { isKnown } from "../operation/known.ts";
import type { Operation } from "../operation/operation.ts";
import * as operationStore from "../operation/store.ts";
import type { TenantFailure } from "../tenant/door.ts";
import type { Tier } from "../tenant/placement.ts";
import { assertAvailable } from "../tenant/place/rights.ts";
import { type OrganizationFailure, organizationNotFound } from "./organization.ts";
import { findEstablishedById } from "./store.ts";

/**
 * Starts to take an organization to another tier. A worker does it; the organization can be used all the time.
 *
 * @throws Failure `organization_not_found`, `organization_without_place`, `move_pointless`, `tier_unavailable`,
 * `quota_exceeded`, `operation_open`
 */
export async function moveOrganization(
  deps: DriveDeps & AuditDeps & Pick<Deps, "usage">,
  organizationId: ObjectId,
  tier: Tier,
): Promise<Operation> {
  const organization = await findEstablishedById(deps.db, organizationId);
  if (!organization) throw organizationNotFound();
  if (!organization.placement) {
    throw failure<TenantFailure>(
      "organization_without_place",
      "The location of its documents is unknown; see `croupier inspect`.",
    );
  }
  if (organization.placement.tier === tier) {
    throw failure<OrganizationFailure>("move_pointless", `The organization is already in the tier ${tier}.`);
  }
  const { placement } = organization;
  await assertAvailable(deps.deployments.of(placement.region), [placement.tier, tier]);
  await deps.usage?.assertFits(organizationId, tier);
  const wanted = { _id: new ObjectId(), organization_id: organizationId, kind: "move" as const, input: { tier } };
  return await audited(deps, askedEntry(deps.flows, wanted)!, async () => {
    const operation = await enqueue(deps, wanted);
    if (operation) return operation;
    throw failure<OperationFailure>("operation_open", "Another operation of this organization is not finished yet.");
  });
}

/** Lets a stopped operation go on. @throws Failure `operation_not_found`, `operation_state` */
export async function resumeOperation(deps: AuditDeps, id: ObjectId): Promise<Operation> {
  const { db } = deps;
  const operation = await getOperation(deps, id);
  return await audited(deps, asked("move.resume", operation), async () => {
    return (await operationStore.resume(db, id)) ?? (await refuse(db, id, "Only a stopped operation can be resumed."));
  });
}

const asked = (act: "move.resume" | "move.cancel", { _id, organization_id, kind }: Operation): NewEntry => ({
  act,
  organizationId: organization_id,
  details: { operation_id: _id.toHexString(), operation_kind: kind },
});

/** Asks for an operation to be undone; past its switch it is completed instead. @throws Failure as above */
export async function cancelOperation(deps: AuditDeps & Pick<DriveDeps, "flows">, id: ObjectId): Promise<Operation> {
  const { db } = deps;
  const operation = await getOperation(deps, id);
  if (!isKnown(deps.flows, operation))
    return await refuse(db, id, "Only the version of the service that started this operation can undo it.");
  if (!deps.flows[operation.kind]?.undo) return await refuse(db, id, "A deletion can't be undone, only resumed.");
  return await audited(deps, asked("move.cancel", operation), async () => {
    return (
      (await operationStore.requestCancel(db, { _id: id })) ??
      (await refuse(db, id, "The operation has already ended."))
    );
  });
}

async function refuse(db: DriveDeps["db"], id: ObjectId, why: string): Promise<never> {
  await getOperation({ db }, id);
  throw failure<OperationFailure>("operation_state", why);
}

/** @throws Failure `operation_not_found` */
export async function getOperation({ db }: Pick<DriveDeps, "db">, id: ObjectId): Promise<Operation> {
  const operation = await operationStore.findById(db, id);
  if (!operation) throw failure<OperationFailure>("operation_not_found", "No operation has this id.");
  return operation;
}
