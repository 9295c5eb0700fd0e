import { ObjectId } from "mongodb";
import { normalizeEmail } from "../admin/admin.ts";
import type { Deps } from "../deps.ts";
import { isFailure } from "../lib/failure.ts";
import { type DriveDeps, run } from "../operation/drive.ts";
import { discardLeftovers } from "./leftovers.ts";
import { type OrganizationView, viewOrganization } from "./organization.ts";
import { getById } from "./store.ts";

export type NewOrganization = { organization_name: string; email: string; password: string };
export type CreateDeps = DriveDeps & Pick<Deps, "passwords">;

const budgetMs = 20_000;

/**
 * Makes an organization and its admin: both, or neither and the same request can be sent again.
 *
 * @throws Failure `organization_name_taken`, `email_taken`, `passwords_busy`, `operation_pending`
 */
export async function createOrganization(deps: CreateDeps, wanted: NewOrganization): Promise<OrganizationView> {
  const names = { organization_name: wanted.organization_name.toLowerCase(), email: normalizeEmail(wanted.email) };
  const password_hash = await deps.passwords.hash(wanted.password);
  const provision = async () => {
    const organization_id = new ObjectId();
    const input = { ...names, admin_id: new ObjectId() };
    await run(
      deps,
      { _id: new ObjectId(), organization_id, kind: "provision", input, secret: { password_hash } },
      budgetMs,
    );
    return viewOrganization(await getById(deps.db, organization_id));
  };
  try {
    return await provision();
  } catch (error) {
    const taken = isFailure(error) && (error.failure === "organization_name_taken" || error.failure === "email_taken");
    if (!taken || !(await discardLeftovers(deps, names, budgetMs))) throw error;
    return await provision();
  }
}
