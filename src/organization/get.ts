import type { Deps } from "../deps.ts";
import { failure } from "../lib/failure.ts";
import { type OrganizationFailure, type OrganizationView, viewOrganization } from "./organization.ts";
import { findActiveByName } from "./store.ts";

/**
 * @param name in any case
 * @throws Failure `organization_not_found`
 */
export async function getOrganization({ db }: Pick<Deps, "db">, name: string): Promise<OrganizationView> {
  const organization = await findActiveByName(db, name.toLowerCase());
  if (!organization)
    throw failure<OrganizationFailure>("organization_not_found", "There is no organization of this name.");
  return viewOrganization(organization);
}
