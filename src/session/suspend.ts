import type { ObjectId } from "mongodb";
import * as recoveryStore from "../admin/recovery-store.ts";
import { type AuditDeps, audited } from "../audit/audited.ts";
import type { Deps } from "../deps.ts";
import { type OrganizationDocument, organizationNotFound } from "../organization/organization.ts";
import * as forOperators from "../organization/all/for-operators.ts";
import * as organizationStore from "../organization/store.ts";
import { endTokensOfOrganization } from "./revocation/end-tokens.ts";

type SuspendDeps = AuditDeps & Pick<Deps, "lookUp">;

/** @throws Failure `organization_not_found`, also for one that is being made or removed */
async function getEstablished({ db }: Pick<Deps, "db">, id: ObjectId): Promise<OrganizationDocument> {
  const organization = await organizationStore.findEstablishedById(db, id);
  if (!organization) throw organizationNotFound();
  return organization;
}

/**
 * Suspends an organization: its admin's tokens end, here when this returns and in every other process within a second, and
 * nobody signs in. Its documents stay, and can be moved. May be called again, as it has to be when it was interrupted; the
 * first reason stays.
 *
 * @throws Failure `organization_not_found`
 */
export async function suspendOrganization(
  deps: SuspendDeps,
  id: ObjectId,
  reason: string | null,
): Promise<OrganizationDocument> {
  await getEstablished(deps, id);
  const act = "organization.suspend";
  const suspend = () =>
    audited(deps, { act, organizationId: id }, async () => {
      await forOperators.suspend(deps.db, id, { at: deps.now(), reason });
      const organization = await getEstablished(deps, id);
      await endTokensOfOrganization(deps, id);
      return organization;
    });
  if (reason === null) return await suspend();
  // The reason is for operators: the organization reads its own chain.
  const details = { organization_id: id.toHexString(), reason };
  return await audited(deps, { act, organizationId: null, details }, suspend);
}

/**
 * Lets the organization's admin sign in again; tokens of before stay ended. They are ended once more before anybody is let
 * in: the process that suspended it may have died before it got to that.
 *
 * @throws Failure `organization_not_found`
 */
export async function reactivateOrganization(deps: SuspendDeps, id: ObjectId): Promise<OrganizationDocument> {
  const organization = await getEstablished(deps, id);
  if (organization.status === "active") return organization;
  return await audited(deps, { act: "organization.reactivate", organizationId: id }, async () => {
    await endTokensOfOrganization(deps, id);
    await forOperators.reactivate(deps.db, id);
    return await getEstablished(deps, id);
  });
}

/** Ends all tokens of an organization, suspended or not, and makes a recovery token void. @throws Failure `organization_not_found` */
export async function revokeTokens(deps: SuspendDeps, id: ObjectId): Promise<void> {
  await getEstablished(deps, id);
  await audited(deps, { act: "organization.revoke_tokens", organizationId: id }, async () => {
    // First: whoever uses it a moment before signs in with what it has set, and that ends too.
    await recoveryStore.withdrawOf(deps.db, id);
    await endTokensOfOrganization(deps, id);
  });
}
