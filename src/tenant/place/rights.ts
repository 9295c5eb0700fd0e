import type { Logger } from "pino";
import { failure } from "../../lib/failure.ts";
import { isUnavailable, within } from "../../lib/mongo/mongo.ts";
import type { Deployment, Deployments } from "../deployments.ts";
import { sharedCollection, type Tier } from "../placement.ts";

export type RightsFailure = "tier_unavailable";

/** Tenants' databases have names that no role can list: their rights are for all databases. */
type Reach = "own" | "all";
/** What the user of the connection string has to be allowed; with `collection` there alone is enough. */
type Need = { reach: Reach; collection?: string; actions: readonly string[] };

const documentActions = ["find", "insert", "update", "remove"];
const indexActions = ["createIndex", "dropIndex", "listIndexes"];
const placeActions = [
  ...documentActions,
  ...indexActions,
  "createCollection",
  "dropCollection",
  "listCollections",
  "renameCollectionSameDB",
];

/**
 * docs/operating.md, "Rights of the database's user", lists the same. A tier needs what leaving it and removing it need, too, so that
 * whoever gets in gets out. `dropDatabase` isn't there: a database without collections vanishes by itself.
 */
export const needs: Record<"service" | Tier, Need> = {
  service: { reach: "own", actions: [...documentActions, "createCollection", "createIndex", "listCollections"] },
  starter: { reach: "own", collection: sharedCollection, actions: [...documentActions, ...indexActions] },
  professional: { reach: "own", actions: placeActions },
  enterprise: { reach: "all", actions: placeActions },
};

const without: Record<keyof typeof needs, string> = {
  service: "the service doesn't start, or answers 503",
  starter: "no organization can enter or leave the tier starter",
  professional: "no organization can enter or leave the tier professional, or have its collection renamed with it",
  enterprise: "no organization can enter or leave the tier enterprise",
};

export type Lack = { feature: keyof typeof needs; reach: Reach; actions: string[] };

type Privilege = {
  resource?: { db?: string; collection?: string; anyResource?: boolean; cluster?: boolean };
  actions?: readonly string[];
};

const grants = ({ resource = {}, actions = [] }: Privilege, database: string, need: Need, action: string): boolean =>
  actions.includes(action) &&
  (resource.anyResource === true ||
    ((resource.db === "" || (need.reach === "own" && resource.db === database)) &&
      (resource.collection === "" || (need.collection !== undefined && resource.collection === need.collection))));

/** What privileges, as MongoDB lists them, don't allow in a database of this name and beside it. */
export const lacksOf = (privileges: readonly Privilege[], database: string): Lack[] =>
  (Object.keys(needs) as (keyof typeof needs)[]).flatMap((feature) => {
    const need = needs[feature];
    const actions = need.actions.filter((action) => !privileges.some((one) => grants(one, database, need, action)));
    return actions.length > 0 ? [{ feature, reach: need.reach, actions }] : [];
  });

/**
 * What the database's user may not do. Nothing as far as is known where the server lists no privileges: FerretDB, one
 * without users, or one that doesn't know the question. What is refused there shows when it is tried.
 */
export async function findLacks({ home }: Deployment): Promise<Lack[]> {
  try {
    const { authInfo } = await home.command({ connectionStatus: 1, showPrivileges: true }, within());
    const privileges = authInfo?.authenticatedUserPrivileges;
    return Array.isArray(privileges) && privileges.length > 0 ? lacksOf(privileges, home.databaseName) : [];
  } catch (error) {
    if (isUnavailable(error)) throw error;
    return [];
  }
}

/** Says in the log what the database's user may not do, and what that is for. */
export async function reportLacks({ deployments, log }: { deployments: Deployments; log: Logger }): Promise<void> {
  for (const deployment of deployments.all) {
    for (const { feature, reach, actions } of await findLacks(deployment)) {
      const on = reach === "own" ? deployment.home.databaseName : "every database";
      log.warn({ for: feature, actions, on, without: without[feature] }, "database user lacks rights");
    }
  }
}

/** Why a tier is not to be had. */
export const tierUnavailable = (tier: Tier): { code: RightsFailure; detail: string } => ({
  code: "tier_unavailable",
  detail: `The tier ${tier} is not available: the service's database user lacks a right; the service's log names it.`,
});

/** The first of these tiers that the database's user lacks rights for; null when it has them all. */
export async function findUnavailable(deployment: Deployment, tiers: readonly Tier[]): Promise<Tier | null> {
  const lacking = new Set<string>((await findLacks(deployment)).map(({ feature }) => feature));
  return tiers.find((tier) => lacking.has(tier)) ?? null;
}

/** @throws Failure `tier_unavailable` */
export async function assertAvailable(deployment: Deployment, tiers: readonly Tier[]): Promise<void> {
  const tier = await findUnavailable(deployment, tiers);
  if (tier === null) return;
  const { code, detail } = tierUnavailable(tier);
  throw failure(code, detail, { retryAfterSeconds: 60 });
}
