import { failure } from "../lib/failure.ts";
import type { Tier } from "../tenant/placement.ts";

export type QuotaFailure = "quota_exceeded";

/** Documents, and their bytes as BSON: of `_id` and the tenant's own fields, so that they are as many in every tier. */
export type Amount = { documents: number; bytes: number };
export type Dimension = keyof Amount;
export const dimensions = ["documents", "bytes"] as const satisfies Dimension[];

/** How much an organization may have; null: as much as it likes. */
export type Quota = Record<Dimension, number | null>;
export type Quotas = { organizations: number | null; tiers: Record<Tier, Quota> };

export const amount = (of: (dimension: Dimension) => number): Amount => ({
  documents: of("documents"),
  bytes: of("bytes"),
});
export const nothing = { documents: 0, bytes: 0 } as const satisfies Amount;
export const isNothing = ({ documents, bytes }: Amount): boolean => documents === 0 && bytes === 0;

/** Whether any tier has a quota: only then it is kept how much organizations have. */
export const areKept = ({ tiers }: Quotas): boolean => Object.values(tiers).some(isLimited);
export const isLimited = (quota: Quota): boolean => dimensions.some((each) => quota[each] !== null);

/** The first dimension of which there would be more than the quota allows; undefined when there is none. */
export const exceeded = (quota: Quota, wanted: Amount): Dimension | undefined =>
  dimensions.find((each) => wanted[each] > (quota[each] ?? Infinity));

/** What an organization has beside what it may have; `used` is null while nobody has counted. */
export type UsageView = Record<Dimension, { used: number | null; limit: number | null }> & {
  counted_at: string | null;
};

const words: Record<Dimension, string> = { documents: "documents", bytes: "bytes of documents" };

export const quotaExceeded = (name: Dimension, limit: number, used: number) =>
  failure<QuotaFailure>(
    "quota_exceeded",
    `An organization of this tier may have ${limit} ${words[name]}, and this one has ${used}; remove some, or ask for another tier.`,
    { members: { quota: { name, limit, used } } },
  );

/** Strangers are not told how many there are. */
export const organizationsExceeded = () =>
  failure<QuotaFailure>("quota_exceeded", "The deployment has reached its quota of organizations; ask its operator.", {
    members: { quota: { name: "organizations" } },
  });
