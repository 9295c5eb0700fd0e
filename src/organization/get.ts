import type { ObjectId } from "mongodb";
import type { Deps } from "../deps.ts";
import {
  type OrganizationDocument,
  organizationNotFound,
  type OrganizationView,
  viewOrganization,
} from "./organization.ts";
import * as forOperators from "./all/for-operators.ts";

/**
 * Looks an organization up, as far as the setting `ORG_LOOKUP` lets anybody.
 *
 * @param name in any case
 * @param asker whose admin asks, where only the own organization is shown
 * @throws Failure `organization_not_found`, also for another's
 */
export async function getOrganization(
  { lookUp, config }: Pick<Deps, "lookUp" | "config">,
  name: string,
  asker?: ObjectId,
): Promise<OrganizationView | Omit<OrganizationView, "email">> {
  const organization = await lookUp.organizationByName(name.toLowerCase());
  const isShown = organization && (config.organizationLookUp !== "admin" || asker?.equals(organization._id));
  if (!isShown) throw organizationNotFound();
  const view = viewOrganization(organization);
  if (config.organizationLookUp !== "minimal") return view;
  const { email: _, ...rest } = view;
  return rest;
}

/** For operators: whatever its status. @throws Failure `organization_not_found` */
export async function showOrganization({ db }: Pick<Deps, "db">, id: ObjectId): Promise<OrganizationDocument> {
  const organization = await forOperators.findListedById(db, id);
  if (!organization) throw organizationNotFound();
  return organization;
}
