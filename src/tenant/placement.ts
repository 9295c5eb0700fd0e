import { createHash } from "node:crypto";

export const tiers = ["starter", "professional", "enterprise"] as const;
export type Tier = (typeof tiers)[number];

/** An index that a tenant asked for; `key` names the tenant's own fields, as it does. */
export type TenantIndex = { name: string; key: Record<string, 1 | -1>; unique: boolean };

/** Where a tenant's documents are. */
export type Placement = {
  region: string;
  database: string;
  collection: string;
  tier: Tier;
  /** What `tenant_id` of every document holds. In the shared collection each stay of a tenant has a key of its own. */
  key: string;
  /** Grows with every change of the placement and with every change of a move's phase. */
  epoch: number;
  /** In the shared collection only: the tenant's own indexes, which there are many tenants' in one. */
  indexes?: TenantIndex[];
  /** There are documents of the first Croupier that don't carry their tenant yet. */
  unstamped?: true;
};

export const defaultRegion = "default";
export const sharedCollection = "tenant_documents";
const collectionPrefix = "org_";
const enterpriseCollection = "documents";
/** How many short names are tried. */
const candidatesMax = 100;

/**
 * The collection of a professional tenant: `org_acme`. Only when that name can't be had, as there is a collection of nobody's or
 * another tenant has left it, is it `org_acme~2` and so on, and at last one that carries the organization's id: a newcomer
 * never finds another's documents in its place. No name of an organization can hold a tilde. (FerretDB renames no collection that
 * has a dot in its name.)
 */
const collectionCandidate = ({ organizationName, organizationId }: Where, number: number): string => {
  const name = `${collectionPrefix}${organizationName}`;
  if (number <= candidatesMax) return number === 1 ? name : `${name}~${number}`;
  return `${name}~${organizationId}-${number}`;
};

/** The numbers of the places that a professional tenant may be offered, from one on. @param guard of the driver that chooses */
export const candidateNumbers = (from: number, guard: number): number[] => {
  const short = Array.from({ length: Math.max(0, candidatesMax - from + 1) }, (_, index) => from + index);
  return [...short, Math.max(from, candidatesMax + 1 + guard)];
};

export const isTenantCollection = (collection: string): boolean => collection.startsWith(collectionPrefix);

/** MongoDB's limit is 63 bytes: 28 of the master database's name, an id, two separators and a number of nine digits. */
const masterBytesMax = 28;

function databasePrefix(masterDatabase: string): string {
  if (Buffer.byteLength(masterDatabase) <= masterBytesMax) return masterDatabase;
  const hash = createHash("sha256").update(masterDatabase).digest("hex").slice(0, 8);
  let kept = "";
  // Whole characters only.
  for (const character of masterDatabase) {
    if (Buffer.byteLength(kept + character) > masterBytesMax - 1 - hash.length) break;
    kept += character;
  }
  return `${kept}-${hash}`;
}

/** The database of an enterprise tenant. The number is one that the organization never had before: no name comes twice. */
export const enterpriseDatabase = (masterDatabase: string, organizationId: string, number: number): string =>
  `${databasePrefix(masterDatabase)}_${organizationId}_${number}`;

/** Whose enterprise database it is, by its name; null when it is none of this master database. */
export function ownerOfDatabase(masterDatabase: string, name: string): string | null {
  const prefix = `${databasePrefix(masterDatabase)}_`;
  return name.startsWith(prefix) ? (/^([0-9a-f]{24})_\d+$/.exec(name.slice(prefix.length))?.[1] ?? null) : null;
}

export type Where = { masterDatabase: string; organizationId: string; organizationName: string };

/**
 * The place that a tier offers, for `number` 1, 2, …: the candidates of a professional tenant, the numbers that make an
 * enterprise database, or a shared key, one that never was before. Epoch 1.
 */
const offers: Record<Tier, (where: Where, number: number) => Placement> = {
  starter: ({ masterDatabase, organizationId }, number) => ({
    ...home(masterDatabase, sharedCollection),
    tier: "starter",
    key: number === 1 ? organizationId : `${organizationId}.${number}`,
    indexes: [],
  }),
  professional: (where, number) => ({
    ...home(where.masterDatabase, collectionCandidate(where, number)),
    tier: "professional",
    key: where.organizationId,
  }),
  enterprise: ({ masterDatabase, organizationId }, number) => ({
    ...home(enterpriseDatabase(masterDatabase, organizationId, number), enterpriseCollection),
    tier: "enterprise",
    key: organizationId,
  }),
};
const home = (database: string, collection: string) => ({ region: defaultRegion, database, collection, epoch: 1 });

export const offerPlace = (tier: Tier, where: Where, number: number): Placement => offers[tier](where, number);

export const isShared = ({ tier }: Pick<Placement, "tier">): boolean => tier === "starter";

/** One string for one place, for the unique index that keeps two tenants out of one place. */
export const placeKey = ({
  region,
  database,
  collection,
  ...placement
}: Pick<Placement, "region" | "database" | "collection"> & Partial<Placement>): string =>
  [region, database, collection, ...(placement.tier === "starter" ? [placement.key] : [])].join("/");

/**
 * The place that a key of `placeKey` means, as far as one is needed that a tenant has left.
 *
 * @param key of documents there, which in the shared collection is a part of the place's
 */
export function placeOfKey(place: string, masterDatabase: string, key: string): Placement {
  const [region = "", database = "", ...rest] = place.split("/");
  const collection = rest.join("/");
  const left = { region, database, collection, key, epoch: 0 };
  if (database !== masterDatabase) return { ...left, tier: "enterprise" };
  const stay = collection.startsWith(`${sharedCollection}/`) ? collection.slice(sharedCollection.length + 1) : null;
  return stay === null
    ? { ...left, tier: "professional" }
    : { ...left, tier: "starter", collection: sharedCollection, key: stay };
}

/** What `connection_details` of an organization reads. */
export const describePlacement = ({ tier, database, collection }: Placement): string =>
  ({
    starter: `Shared collection: ${collection}`,
    professional: `Collection: ${collection}`,
    enterprise: `Database: ${database}`,
  })[tier];

/** Reads `connection_details` as the first Croupier wrote it; null when it says anything else. */
export const parseConnectionDetails = (details: unknown): string | null =>
  typeof details === "string" ? (/^Collection: (org_[^$\0]{1,200})$/s.exec(details)?.[1] ?? null) : null;
