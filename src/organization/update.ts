import { ObjectId } from "mongodb";
import { normalizeEmail } from "../admin/admin.ts";
import type { Deps } from "../deps.ts";
import type { DriveDeps } from "../operation/drive.ts";
import { run } from "../operation/run.ts";
import type { Actor } from "../session/session.ts";
import { despiteLeftovers } from "./leftovers.ts";
import { type OrganizationView, viewOrganization } from "./organization.ts";
import { assertReachable } from "./reachable.ts";
import { getById } from "./store.ts";

export type OrganizationChanges = {
  organization_name?: string | undefined;
  email?: string | undefined;
  password?: string | undefined;
};

const budgetMs = 20_000;

/**
 * Changes an admin's organization and sign-in: all that is asked or, when a name or email is taken, nothing. A new password
 * ends the admin's tokens but for the one that acts, and the other sessions.
 *
 * @throws Failure `organization_name_taken`, `email_taken`, `organization_not_found`, `passwords_busy`, `operation_pending`;
 * for a new name of `assertReachable`
 */
export async function updateOrganization(
  deps: DriveDeps & Pick<Deps, "passwords" | "lookUp">,
  actor: Actor,
  changes: OrganizationChanges,
): Promise<OrganizationView> {
  if (changes.organization_name !== undefined) await assertReachable(deps, actor.organizationId);
  const input = {
    admin_id: actor.adminId,
    acting_token: actor.claims.jti,
    acting_generation: actor.claims.gen,
    ...(actor.claims.sid !== undefined && { acting_session: actor.claims.sid }),
    updated_at: deps.now(),
  };
  const names = {
    ...(changes.organization_name !== undefined && { organization_name: changes.organization_name.toLowerCase() }),
    ...(changes.email !== undefined && { email: normalizeEmail(changes.email) }),
  };
  const secret = {
    ...names,
    ...(changes.password !== undefined && { password_hash: await deps.passwords.hash(changes.password) }),
  };
  const { organizationId: organization_id } = actor;
  try {
    await despiteLeftovers(deps, names, budgetMs, () =>
      run(deps, { _id: new ObjectId(), organization_id, kind: "update", input, secret }, budgetMs),
    );
  } finally {
    deps.lookUp.forgetAdmin(actor.adminId);
  }
  return viewOrganization(await getById(deps.db, organization_id));
}
