import { ObjectId } from "mongodb";
import { type AdminDocument, adminNotFound } from "../../admin/admin.ts";
import * as recoveryStore from "../../admin/recovery-store.ts";
import * as adminStore from "../../admin/store.ts";
import { type AuditDeps, audited } from "../../audit/audited.ts";
import type { Deps } from "../../deps.ts";
import { organizationNotFound } from "../../organization/organization.ts";
import * as organizationStore from "../../organization/store.ts";
import { organizationSuspended } from "../session.ts";
import { hashRecoveryToken, makeRecoveryToken } from "../token/recovery-token.ts";

export type Recovery = {
  organization_id: string;
  organization_name: string;
  /** Kept nowhere else: whoever has it sets the admin's password, once. */
  token: string;
  /** A page that does so; null where it isn't known how the service is reached. */
  link: string | null;
  /** RFC 3339. */
  expires_at: string;
};

type RecoveryDeps = AuditDeps & Pick<Deps, "config">;

const lifeMs = 30 * 60_000;
const recoveryPath = "/admin/recovery";

/**
 * Makes a token that sets a new password for the admin of an email; one that was made before holds no more.
 *
 * @throws Failure `admin_not_found`, `organization_not_found`, `organization_suspended`
 */
export async function recoverByEmail(deps: RecoveryDeps, email: string): Promise<Recovery> {
  const admin = await adminStore.findByEmail(deps.db, email);
  if (!admin) throw adminNotFound();
  return await recoverAdmin(deps, admin);
}

/** The same for the admin of an organization. @throws as above */
export async function recoverOf(deps: RecoveryDeps, organizationId: ObjectId): Promise<Recovery> {
  const admin = await adminStore.findByOrganization(deps.db, organizationId);
  if (admin) return await recoverAdmin(deps, admin);
  throw (await organizationStore.findEstablishedById(deps.db, organizationId))
    ? adminNotFound()
    : organizationNotFound();
}

async function recoverAdmin(deps: RecoveryDeps, admin: AdminDocument): Promise<Recovery> {
  const { db, config } = deps;
  const organization = await organizationStore.findOfAdmin(db, admin);
  if (!organization) throw organizationNotFound();
  // A token that couldn't be used would run out before anybody knew why.
  if (organization.status === "suspended") throw organizationSuspended();
  const token = makeRecoveryToken();
  const organizationId = organization._id;
  const details = { admin_id: admin._id.toHexString() };
  const expiresAt = await audited(deps, { act: "recovery.create", organizationId, details }, async () => {
    const until = await recoveryStore.offer(db, admin._id, hashRecoveryToken(token)!, lifeMs);
    if (!until) throw adminNotFound();
    return until;
  });
  return {
    organization_id: organizationId.toHexString(),
    organization_name: organization.organization_name,
    token,
    // Behind the #: browsers keep that to themselves, so it is in no log.
    link: config.publicOrigin && `${config.publicOrigin}${recoveryPath}#${token}`,
    expires_at: expiresAt.toISOString(),
  };
}
