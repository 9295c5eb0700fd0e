import type { Deps } from "../deps.ts";
import { failure } from "../lib/failure.ts";
import { type OrganizationFailure, type OrganizationView, viewOrganization } from "./organization.ts";

/**
 * @param name in any case
 * @throws Failure `organization_not_found`
 */
export async function getOrganization({ lookUp }: Pick<Deps, "lookUp">, name: string): Promise<OrganizationView> {
  const organization = await lookUp.organizationByName(name.toLowerCase());
  if (!organization)
    throw failure<OrganizationFailure>("organization_not_found", "There is no organization of this name.");
  return viewOrganization(organization);
}
