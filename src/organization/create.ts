import { ObjectId } from "mongodb";
import { normalizeEmail } from "../admin/admin.ts";
import type { Deps } from "../deps.ts";
import type { DriveDeps } from "../operation/drive.ts";
import { run } from "../operation/run.ts";
import { defaultRegion } from "../tenant/placement.ts";
import { assertAvailable } from "../tenant/place/rights.ts";
import { admitted } from "./admission.ts";
import { despiteLeftovers } from "./leftovers.ts";
import { type OrganizationView, viewOrganization } from "./organization.ts";
import { getById } from "./store.ts";

export type NewOrganization = { organization_name: string; email: string; password: string };
export type CreateDeps = DriveDeps & Pick<Deps, "passwords">;

const budgetMs = 20_000;

/**
 * Makes an organization and its admin: both, or neither and the same request can be sent again.
 *
 * @throws Failure `organization_name_taken`, `email_taken`, `passwords_busy`, `quota_exceeded`, `tier_unavailable`, `operation_pending`
 */
export async function createOrganization(deps: CreateDeps, wanted: NewOrganization): Promise<OrganizationView> {
  const names = { organization_name: wanted.organization_name.toLowerCase(), email: normalizeEmail(wanted.email) };
  await assertAvailable(deps.deployments.of(defaultRegion), [deps.config.defaultTier]);
  const password_hash = await deps.passwords.hash(wanted.password);
  return await despiteLeftovers(deps, names, budgetMs, async () => {
    const organization_id = new ObjectId();
    const input = { admin_id: new ObjectId(), tier: deps.config.defaultTier };
    const secret = { ...names, password_hash };
    return await admitted(deps, organization_id, async () => {
      await run(deps, { _id: new ObjectId(), organization_id, kind: "provision", input, secret }, budgetMs);
      return viewOrganization(await getById(deps.db, organization_id));
    });
  });
}
