import { ObjectId } from "mongodb";
import { emailKey } from "../admin/admin.ts";
import * as adminStore from "../admin/store.ts";
import type { Deps } from "../deps.ts";
import { type DriveDeps, run } from "../operation/drive.ts";
import { findProvision } from "../operation/store.ts";
import * as organizationStore from "./store.ts";

/** The organizations that hold a name or an email and that nobody can see: half made, or left by one that was undone. */
async function findHidden(db: Deps["db"], names: { organization_name: string; email: string }): Promise<ObjectId[]> {
  const [organization, admin] = await Promise.all([
    organizationStore.findByName(db, names.organization_name),
    adminStore.findByEmail(db, emailKey(names.email)),
  ]);
  const hidden = organization?.status === "provisioning" ? [organization._id] : [];
  if (admin && ObjectId.isValid(admin.organization_id)) {
    const id = new ObjectId(admin.organization_id);
    const owner = await organizationStore.findById(db, id);
    if (!owner || owner.status === "provisioning") hidden.push(id);
  }
  return hidden;
}

/**
 * Frees a name or an email that a process kept when it died in the middle of a create, or that reached the database after
 * its create had been undone. One that is being made right now, and anything that can't be shown to be a leftover, stays.
 *
 * @returns whether anything was freed
 */
export async function discardLeftovers(
  deps: DriveDeps,
  names: { organization_name: string; email: string },
  budgetMs: number,
): Promise<boolean> {
  let freed = false;
  for (const organization_id of await findHidden(deps.db, names)) {
    const made = await findProvision(deps.db, organization_id);
    const beingMade = made?.status === "running" && made.lease.until > deps.now();
    if (!made || made.status === "succeeded" || beingMade) continue;
    const input = { admin_id: made.input.admin_id };
    // Waits for, or takes over, an operation that is still open; so nothing is discarded that has just become active.
    await run(deps, { _id: new ObjectId(), organization_id, kind: "discard", input }, budgetMs);
    freed = true;
  }
  return freed;
}
