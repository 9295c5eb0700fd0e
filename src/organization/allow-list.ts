import type { ObjectId } from "mongodb";
import { type AuditDeps, audited } from "../audit/audited.ts";
import type { Deps } from "../deps.ts";
import { createNetworks } from "../lib/net/cidr.ts";
import { invalid } from "../lib/invalid.ts";
import type { Actor } from "../session/session.ts";
import { established, type OrganizationDocument, organizationNotFound } from "./organization.ts";
import * as forOperators from "./all/for-operators.ts";

type AllowListDeps = AuditDeps & Pick<Deps, "leases">;

export const allowListMax = 100;

/** @throws Failure `organization_not_found` */
async function write(
  deps: AllowListDeps,
  organizationId: ObjectId,
  cidrs: string[],
  statuses: Parameters<typeof forOperators.writeAllowList>[3],
): Promise<OrganizationDocument> {
  const details = { networks: cidrs.join(" ") || "any", count: cidrs.length };
  return await audited(deps, { act: "organization.allow_list", organizationId, details }, async () => {
    const organization = await forOperators.writeAllowList(deps.db, organizationId, cidrs, statuses);
    deps.leases.forget(organizationId);
    if (!organization) throw organizationNotFound();
    return organization;
  });
}

/** The networks that an organization's admin may come from. @throws Failure `organization_not_found` */
export async function getAllowList({ lookUp }: Pick<Deps, "lookUp">, { organizationId }: Actor): Promise<string[]> {
  const organization = await lookUp.organizationById(organizationId);
  if (!organization) throw organizationNotFound();
  return organization.allow_list ?? [];
}

/**
 * Says from where an organization's admin may come: here when this returns; elsewhere at once for all requests but those to
 * documents and indexes, and for these when a lease (`PLACEMENT_LEASE_MS`) has run out.
 *
 * @param cidrs as `parseCidr` gives them; none: from anywhere
 * @param address where the admin is now, which the networks have to hold: nobody locks themselves out by a slip
 * @throws Failure `invalid_request`, `organization_not_found`
 */
export async function setAllowList(
  deps: AllowListDeps,
  { organizationId }: Actor,
  cidrs: string[],
  address: string,
): Promise<string[]> {
  if (cidrs.length > 0 && !createNetworks(cidrs)(address)) {
    throw invalid("#/cidrs", `must include your own address (${address})`, "caller_missing");
  }
  return (await write(deps, organizationId, cidrs, ["active"])).allow_list ?? [];
}

/** The same by an operator, who isn't locked out by it, for a suspended organization too. @throws Failure `organization_not_found` */
export const setAllowListOf = (deps: AllowListDeps, id: ObjectId, cidrs: string[]): Promise<OrganizationDocument> =>
  write(deps, id, cidrs, established);
