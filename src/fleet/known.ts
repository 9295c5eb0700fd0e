import { type Db, ObjectId } from "mongodb";
import { flows } from "../flows/index.ts";
import { inPages } from "../lib/batches.ts";
import { hasEnded } from "../operation/ended.ts";
import { flowOf, isKnown } from "../operation/known.ts";
import type { Operation } from "../operation/operation.ts";
import { findAllOpen, findOpen } from "../operation/store.ts";
import { isEstablished, type OrganizationDocument } from "../organization/organization.ts";
import * as organizationStore from "../organization/store.ts";
import {
  findAmong,
  findHolders,
  findInDatabases,
  findPlaced,
  findSaying,
  surveyMax,
  surveyPage,
} from "../organization/all/survey.ts";
import { defaultRegion, isShared, parseConnectionDetails, type Placement, placeKey } from "../tenant/placement.ts";
import { isRetired, listRetired, type RetiredPlace } from "../tenant/place/retired.ts";
import { isStage, placeOfStage } from "../tenant/copy/stage.ts";

/**
 * What the records say of who is where. It has to be read after whatever it is to judge: what is there and has a record
 * has had it from before it was there. And the operations before the organizations: one that ends in between has written
 * its organization by then. So it is read anew for each page of what there is, and asks for organizations by what is in
 * question: of these there may be any number.
 */
export type Known = {
  operations: Operation[];
  retired: RetiredPlace[];
  isBusy(organizationId: string): boolean;
  /** Those of some collections that neither an organization nor an operation that is under way has to do with. */
  unclaimed<T extends Named>(collections: readonly T[]): Promise<T[]>;
  unclaimedDatabases<T extends Pick<Placement, "database">>(databases: readonly T[]): Promise<T[]>;
  /** Those of some keys under which nobody's documents may be in the shared collection. */
  unknownKeys(keys: readonly string[]): Promise<Set<string>>;
};

type Named = Pick<Placement, "database" | "collection">;

/** The operation, and the one whose place it has taken, of which it removes what is left. */
const partsOf = (operation: Operation) => [operation, ...(operation.superseded ? [operation.superseded] : [])];

const placesOf = (operation: Operation): Placement[] =>
  partsOf(operation).flatMap(({ kind, progress }) => flowOf(flows, kind).places(progress));

const keysOf = (operation: Operation): string[] =>
  partsOf(operation).flatMap(({ kind, progress }) => flowOf(flows, kind).keys?.(progress) ?? []);

const spot = ({ database, collection }: Named) => `${database}/${collection}`;

/** @param except a claim of the doctor's own */
export async function readKnown(db: Db, except?: ObjectId): Promise<Known> {
  const operations = await findAllOpen(db);
  const retired = await listRetired(db);
  const busy = new Set(operations.map(({ organization_id }) => organization_id.toHexString()));
  const ofThisVersion = operations.filter((operation) => isKnown(flows, operation));
  // Where another version puts something can't be known here: until it has ended everything may be its.
  const isAllKnown = ofThisVersion.length === operations.length;
  const underWay = ofThisVersion.flatMap(placesOf);
  const moving = [...underWay, ...retired.map(({ placement }) => placement)];
  const spots = new Set(moving.map(spot));
  const keys = ofThisVersion.flatMap(keysOf);
  const mayBeStage = ({ database, collection }: Named) =>
    isStage(collection) && underWay.some((to) => to.database === database && isStageOf(to, collection));
  return {
    operations,
    retired,
    isBusy: (id) => busy.has(id),
    async unclaimed(collections) {
      if (!isAllKnown) return [];
      const open = collections.filter((one) => !spots.has(spot(one)) && !mayBeStage(one));
      const claimed = new Set<string>();
      for (const [database, some] of Map.groupBy(open, (one) => one.database)) {
        const names = some.map(({ collection }) => collection);
        for (const one of await claimsOf(db, database, names)) if (!except?.equals(one._id)) claim(one, claimed, db);
      }
      return open.filter((one) => !claimed.has(spot(one)));
    },
    async unclaimedDatabases(databases) {
      if (!isAllKnown) return [];
      const names = databases.map(({ database }) => database);
      const living = (await findInDatabases(db, names)).flatMap(({ placement }) => (placement ? [placement] : []));
      const claimed = new Set([...moving, ...living].map(({ database }) => database));
      return databases.filter(({ database }) => !claimed.has(database));
    },
    async unknownKeys(asked) {
      if (!isAllKnown) return new Set();
      const owners = new Set(asked.flatMap((key) => ownerOfKey(key) ?? []));
      const living = await findAmong(
        db,
        [...owners].map((id) => new ObjectId(id)),
      );
      const places = [...living.flatMap(({ placement }) => (placement ? [placement] : [])), ...underWay];
      const ours = new Set([...places.filter(isShared).map(({ key }) => key), ...keys]);
      return new Set(asked.filter((key) => !ours.has(key)));
    },
  };
}

/** The organizations that have to do with one of these collections: they live there, hold it, or say it. */
const claimsOf = async (db: Db, database: string, names: readonly string[]): Promise<OrganizationDocument[]> => [
  ...(await findPlaced(db, database, names)),
  ...(await findHolders(
    db,
    names.map((collection) => placeKey({ region: defaultRegion, database, collection })),
  )),
  // Of a database that isn't taken over, or where it is in doubt whose a collection is.
  ...(database === db.databaseName ? await findSaying(db, names.map(sayingOf)) : []),
];

const sayingOf = (collection: string) => `Collection: ${collection}`;

function claim({ placement, place_keys = [], connection_details }: OrganizationDocument, spots: Set<string>, db: Db) {
  if (placement) spots.add(spot(placement));
  for (const key of place_keys) spots.add(spotOfKey(key));
  const said = placement ? null : parseConnectionDetails(connection_details);
  if (said !== null) spots.add(spot({ database: db.databaseName, collection: said }));
}

export type Page = { known: Known; organizations: OrganizationDocument[] };

/** All organizations, page by page, each with what was known before it was read. */
export async function* surveyOrganizations(db: Db): AsyncGenerator<Page> {
  let known: Known;
  const read = async (after: ObjectId | null) => {
    known = await readKnown(db);
    return await surveyPage(db, after);
  };
  for await (const organizations of inPages(read, surveyMax)) yield { known: known!, organizations };
}

/**
 * Whether a record names a collection: as a place that a tenant has left, or as a stage beside one or beside an organization's
 * place.
 */
export async function isRecorded(db: Db, known: Known, { database, collection }: Named): Promise<boolean> {
  const place = { region: defaultRegion, database, collection: placeOfStage(collection) };
  return (isStage(collection) && (await known.unclaimed([place])).length === 0) || (await isRetired(db, place));
}

const isStageOf = (target: Placement, collection: string) => collection.startsWith(`${target.collection}~s`);

/** `region/database/collection` and, in the shared collection, a key. */
const spotOfKey = (key: string) => key.split("/").slice(1, 3).join("/");

/** The organization that a tenant's key is of; null when it is none of ours. */
export const ownerOfKey = (key: unknown): string | null =>
  typeof key === "string" ? (/^([0-9a-f]{24})(?:\.\d+)?$/.exec(key)?.[1] ?? null) : null;

/**
 * Whether it can be shown that an organization has nothing at a place any more, asked anew: it lives elsewhere and nothing
 * is under way, or it was removed, which is recorded. Keys and names of databases never come twice, so what is shown once
 * stays true.
 *
 * @param livesHere whether a placement is the place, or the stay, in question
 */
export async function hasLeft(
  db: Db,
  organizationId: string,
  livesHere: (placement: Placement) => boolean,
): Promise<boolean> {
  const id = new ObjectId(organizationId);
  if (await findOpen(db, id)) return false;
  const organization = await organizationStore.findById(db, id);
  if (!organization) return await hasEnded(db, flows, id);
  // Half made or half removed: whoever ends that also sees to this.
  if (!isEstablished(organization) || !organization.placement) return false;
  return !livesHere(organization.placement);
}

export const isPlace =
  (place: Pick<Placement, "database" | "collection">) =>
  (placement: Placement): boolean =>
    spot(placement) === spot(place);

export const isStay =
  (key: string) =>
  (placement: Placement): boolean =>
    isShared(placement) && placement.key === key;

/** As an organization says itself: which of the places that it holds it doesn't live at. */
export const heldInVain = ({ placement, place_keys = [] }: OrganizationDocument): string[] =>
  placement ? place_keys.filter((key) => key !== placeKey(placement)) : [];
