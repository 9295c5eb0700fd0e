import type { ObjectId } from "mongodb";
import type { Deps } from "../deps.ts";
import type { UsageView } from "../quota/quota.ts";
import { type OrganizationDocument, organizationNotFound } from "./organization.ts";

const unknown = { used: null, limit: null };

/** How much an organization has of what its tier lets it have; without quotas nobody counts. @throws Failure `organization_not_found` */
export async function getUsage(
  { lookUp, usage }: Pick<Deps, "lookUp" | "usage">,
  organizationId: ObjectId,
): Promise<UsageView> {
  const organization = await lookUp.organizationById(organizationId);
  if (!organization) throw organizationNotFound();
  const { tier } = organization;
  return (await usage?.view(organizationId, tier)) ?? { documents: unknown, bytes: unknown, counted_at: null };
}

/** The same for operators; nothing without quotas. */
export const usageOf = async (
  { usage }: Pick<Deps, "usage">,
  { _id, tier }: OrganizationDocument,
): Promise<{ usage?: UsageView }> => (usage ? { usage: await usage.view(_id, tier) } : {});
