/** Where a tenant's documents are. `epoch` grows with every change of it. */
export type Placement = { region: string; database: string; collection: string; tier: Tier; epoch: number };
export type Tier = "starter" | "professional" | "enterprise";

export const defaultRegion = "default";
const collectionPrefix = "org_";
/** How many names are tried when those before are taken by collections that belong to nobody. */
export const candidatesMax = 100;

/**
 * The collection of a professional tenant: `org_acme`. Only when a collection of that name holds documents that belong to
 * nobody is it `org_acme~2` and so on: a newcomer never finds another's documents in its place, and no name of an
 * organization can hold a tilde. (FerretDB renames no collection that has a dot in its name.)
 */
export const collectionCandidate = (organizationName: string, number: number): string =>
  number === 1 ? `${collectionPrefix}${organizationName}` : `${collectionPrefix}${organizationName}~${number}`;

export const isTenantCollection = (collection: string): boolean => collection.startsWith(collectionPrefix);

/** One string for one place, for the unique index that keeps two tenants out of one place. */
export const placeKey = (place: Pick<Placement, "region" | "database" | "collection">): string =>
  `${place.region}/${place.database}/${place.collection}`;

/** What `connection_details` of an organization reads. */
export const describePlacement = (placement: Pick<Placement, "collection">): string =>
  `Collection: ${placement.collection}`;

/** Reads `connection_details` as the first Croupier wrote it; null when it says anything else. */
export const parseConnectionDetails = (details: unknown): string | null =>
  typeof details === "string" ? (/^Collection: (org_[^$\0]{1,200})$/s.exec(details)?.[1] ?? null) : null;
