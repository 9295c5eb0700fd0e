import type { Db, Filter, ObjectId } from "mongodb";
import { majority, within } from "../../lib/mongo/mongo.ts";
import type { OrganizationDocument } from "../organization.ts";
import { organizations } from "../store.ts";

// For those who look after all organizations at once: some records at a time, whatever their status, as the majority has
// them.

export const surveyMax = 500;

/** Whether an organization's place isn't known: then this holds nothing. */
export const unplaced = { "placement.database": null } as Filter<OrganizationDocument>;

const options = () => ({
  projection: {
    organization_name: 1,
    email: 1,
    status: 1,
    placement: 1,
    place_keys: 1,
    move: 1,
    connection_details: 1,
    created_at: 1,
  },
  ...majority,
  ...within(60_000),
});

const find = (db: Db, filter: Filter<OrganizationDocument>): Promise<OrganizationDocument[]> =>
  organizations(db).find(filter, options()).toArray();

/** `surveyMax` of all, those after one of them, in the order of `_id`; fewer are the last. */
export const surveyPage = (db: Db, after: ObjectId | null): Promise<OrganizationDocument[]> =>
  organizations(db)
    .find(after ? { _id: { $gt: after } } : {}, { sort: { _id: 1 }, limit: surveyMax, ...options() })
    .toArray();

export const findAmong = (db: Db, ids: readonly ObjectId[]): Promise<OrganizationDocument[]> =>
  find(db, { _id: { $in: [...ids] } });

/** Those that live in one of these databases. */
export const findInDatabases = (db: Db, databases: readonly string[]): Promise<OrganizationDocument[]> =>
  find(db, { "placement.database": { $in: [...databases] } });

/** Those that live in one of these collections. */
export const findPlaced = (db: Db, database: string, collections: readonly string[]): Promise<OrganizationDocument[]> =>
  find(db, { "placement.database": database, "placement.collection": { $in: [...collections] } });

/** Those that hold one of these places, wherever they live. */
export const findHolders = (db: Db, placeKeys: readonly string[]): Promise<OrganizationDocument[]> =>
  find(db, { place_keys: { $in: [...placeKeys] } });

/** Those whose place isn't known and that say, as the first Croupier wrote it, what it may be. */
export const findSaying = (db: Db, connectionDetails: readonly string[]): Promise<OrganizationDocument[]> =>
  find(db, { ...unplaced, connection_details: { $in: [...connectionDetails] } });
