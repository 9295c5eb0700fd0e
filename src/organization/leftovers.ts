import { ObjectId } from "mongodb";
import { emailKey } from "../admin/admin.ts";
import * as adminStore from "../admin/store.ts";
import type { Deps } from "../deps.ts";
import { isFailure } from "../lib/failure.ts";
import type { DriveDeps } from "../operation/drive.ts";
import { run } from "../operation/run.ts";
import type { Operation } from "../operation/operation.ts";
import { findProvision } from "../operation/ended.ts";
import { isEstablished } from "./organization.ts";
import * as organizationStore from "./store.ts";

export type Wanted = { organization_name?: string; email?: string };

/** The organizations that hold a name or an email and that nobody can see: half made, or left by one that was undone. */
async function findHidden(db: Deps["db"], { organization_name, email }: Wanted): Promise<ObjectId[]> {
  const [organization, admin] = await Promise.all([
    organization_name === undefined ? null : organizationStore.findByName(db, organization_name),
    email === undefined ? null : adminStore.findByEmail(db, emailKey(email)),
  ]);
  const hidden = organization && !isEstablished(organization) ? [organization._id] : [];
  if (admin && ObjectId.isValid(admin.organization_id)) {
    const id = new ObjectId(admin.organization_id);
    const owner = await organizationStore.findById(db, id);
    if (!(owner && isEstablished(owner)) && !hidden.some((known) => known.equals(id))) hidden.push(id);
  }
  return hidden;
}

/**
 * Frees a name or an email that a process kept when it died in the middle of a create, or that reached the database after
 * its create had been undone. One that is being made right now, and anything that can't be shown to be a leftover, stays.
 *
 * @returns whether anything was freed
 */
async function discardLeftovers(deps: DriveDeps, wanted: Wanted, budgetMs: number): Promise<boolean> {
  let freed = false;
  for (const organization_id of await findHidden(deps.db, wanted)) {
    if (await discardLeftover(deps, organization_id, budgetMs)) freed = true;
  }
  return freed;
}

/** The operation that failed to make an organization; null when it can't be shown, or it is being made right now. */
export async function failedProvision(
  { db, now }: Pick<DriveDeps, "db" | "now">,
  organization_id: ObjectId,
): Promise<Operation | null> {
  const made = await findProvision(db, organization_id);
  // Whoever took it over undoes it.
  const beingMade = made?.status === "running" && made.lease.fence === 1 && made.lease.until > now();
  return !made || made.status === "succeeded" || beingMade ? null : made;
}

/** Whether the operation that makes an organization has come to where its place is made. */
export const hasBegunPlace = ({ history }: Pick<Operation, "history">): boolean =>
  history.some(({ step }) => step === "storage");

/** Discards what a create has left of an organization; false when it can't be shown to be that. */
export async function discardLeftover(deps: DriveDeps, organization_id: ObjectId, budgetMs: number): Promise<boolean> {
  const made = await failedProvision(deps, organization_id);
  if (!made) return false;
  const input = { admin_id: made.input.admin_id, untouched: !hasBegunPlace(made) };
  // Waits for, or takes over, an operation that is still open; so nothing is discarded that has just become active.
  await run(deps, { _id: new ObjectId(), organization_id, kind: "discard", input }, budgetMs);
  return true;
}

/** Whether what was taken is taken no more: a worker may have undone the leftover in between. */
async function isFree(db: Deps["db"], refusedFor: string, { organization_name, email }: Wanted): Promise<boolean> {
  if (refusedFor === "organization_name_taken") {
    return organization_name !== undefined && !(await organizationStore.findByName(db, organization_name));
  }
  return email !== undefined && !(await adminStore.findByEmail(db, emailKey(email)));
}

/** Tries once more what was refused only because of leftovers. */
export async function despiteLeftovers<T>(
  deps: DriveDeps,
  wanted: Wanted,
  budgetMs: number,
  attempt: () => Promise<T>,
): Promise<T> {
  try {
    return await attempt();
  } catch (error) {
    const taken = isFailure(error) && (error.failure === "organization_name_taken" || error.failure === "email_taken");
    if (!taken) throw error;
    const free = (await discardLeftovers(deps, wanted, budgetMs)) || (await isFree(deps.db, error.failure, wanted));
    if (!free) throw error;
    return await attempt();
  }
}
