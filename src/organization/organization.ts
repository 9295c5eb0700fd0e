import type { ObjectId } from "mongodb";
import { createNetworks } from "../lib/net/cidr.ts";
import { failure } from "../lib/failure.ts";
import type { Standing } from "../tenant/lease.ts";
import { describePlacement, type Placement, type Tier } from "../tenant/placement.ts";

export type OrganizationFailure = "organization_name_taken" | "organization_not_found" | "move_pointless";

/** As an operation ends with it. */
export const organizationMissing = {
  code: "organization_not_found",
  detail: "Organization not found.",
} satisfies { code: OrganizationFailure; detail: string };

export const organizationNotFound = () =>
  failure<OrganizationFailure>(organizationMissing.code, organizationMissing.detail);

/**
 * `provisioning` and `deleting` organizations are seen by nobody but the operation that makes or removes them; `suspended`
 * ones by operators only, who may move them and let them in again.
 */
export const statuses = ["provisioning", "active", "suspended", "deleting"] as const;
export type OrganizationStatus = (typeof statuses)[number];

/** Those of which something is kept: made, and not about to be removed. */
export const established = ["active", "suspended"] as const satisfies OrganizationStatus[];
export const isEstablished = ({ status }: Pick<OrganizationDocument, "status">): boolean =>
  status === "active" || status === "suspended";

/** Why and since when an organization is suspended. */
export type Suspension = { at: Date; reason: string | null };

export type OrganizationDocument = {
  _id: ObjectId;
  organization_name: string;
  email: string;
  created_at: Date;
  updated_at: Date | null;
  tier: Tier;
  region: string;
  status: OrganizationStatus;
  /** Of a suspended one. */
  suspension?: Suspension;
  /** Networks, as `parseCidr` gives them, that its admin may come from; from anywhere when there are none. */
  allow_list?: string[];
  /** Null when a damaged database of the first Croupier doesn't say where the documents are. */
  placement: Placement | null;
  /** The move that is under way, as far as those who use the documents have to know of it. */
  move?: NonNullable<Standing["move"]>;
  /** Every place that the organization holds or is about to; a unique index keeps two organizations out of one place. */
  place_keys?: string[];
  /** Counts the drivers that entered; the writes of an update carry the number, see `raiseGuard`. */
  guard?: number;
  /** As the first Croupier wrote it; kept, and read only when `placement` is null. */
  connection_details?: string;
};

/** What the API shows of an organization. */
export type OrganizationView = {
  id: string;
  organization_name: string;
  email: string;
  connection_details: string;
  created_at: string;
  updated_at: string | null;
  tier: Tier;
  region: string;
  status: OrganizationStatus;
};

/** Letters are compared without regard to case: a name is stored and looked up in lower case. */
export const organizationNamePattern = /^[A-Za-z0-9_-]{3,50}$/;

export const viewOrganization = (organization: OrganizationDocument): OrganizationView => ({
  id: organization._id.toHexString(),
  organization_name: organization.organization_name,
  email: organization.email,
  connection_details: organization.placement
    ? describePlacement(organization.placement)
    : (organization.connection_details ?? "Collection: unknown"),
  created_at: (organization.created_at ?? organization._id.getTimestamp()).toISOString(),
  updated_at: organization.updated_at?.toISOString() ?? null,
  tier: organization.tier,
  region: organization.region,
  status: organization.status,
});

/** What operators are shown of an organization, its email included: they are the ones who write to its admin. */
export type OperatorsView = OrganizationView & {
  suspension: { at: string; reason: string | null } | null;
  allow_list: string[];
};

export const viewForOperators = (organization: OrganizationDocument): OperatorsView => ({
  ...viewOrganization(organization),
  suspension: organization.suspension
    ? { at: organization.suspension.at.toISOString(), reason: organization.suspension.reason }
    : null,
  allow_list: organization.allow_list ?? [],
});

/** @param addressOf says where somebody comes from, as `normalizeAddress` gives it; it is asked only when there is a list */
export const allowsAddress = (
  { allow_list = [] }: Pick<OrganizationDocument, "allow_list">,
  addressOf: () => string,
): boolean => allow_list.length === 0 || createNetworks(allow_list)(addressOf());
