import type { Db } from "mongodb";
import { failure } from "../lib/failure.ts";
import type { TenantFailure } from "./door.ts";
import type { Placement } from "./placement.ts";

/** A MongoDB deployment that tenants' documents are in, by one of this process's pools. */
export type Deployment = {
  /** The database of the service's name there: the shared collection is in it, and professional tenants' collections. */
  home: Db;
};

/** All that this process has. Which one a tenant's documents are in, the region of its placement says. */
export type Deployments = {
  all: readonly Deployment[];
  has(region: string): boolean;
  /** @throws Failure `organization_without_place` when there is none of this region */
  of(region: string): Deployment;
};

/** @param homes by their regions */
export function createDeployments(homes: Record<string, Db>): Deployments {
  const byRegion = new Map(Object.entries(homes).map(([region, home]): [string, Deployment] => [region, { home }]));
  return {
    all: [...byRegion.values()],
    has: (region) => byRegion.has(region),
    of(region) {
      const deployment = byRegion.get(region);
      if (deployment) return deployment;
      throw failure<TenantFailure>(
        "organization_without_place",
        "The organization's documents are in a region that this service isn't connected to; contact the operator of the service.",
        {
          retryAfterSeconds: 60,
          forOperators: `The organization's documents are in the region ${region}, which this service isn't connected to.`,
        },
      );
    },
  };
}

/** The database of a placement; only for `tenant/`. @throws as `Deployments.of` */
export const databaseAt = (
  deployments: Deployments,
  { region, database }: Pick<Placement, "region" | "database">,
): Db => deployments.of(region).home.client.db(database);
