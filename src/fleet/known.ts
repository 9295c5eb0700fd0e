import { type Db, ObjectId } from "mongodb";
import type { Operation } from "../operation/operation.ts";
import { findAllOpen, findEnding, findNaming, findOpen } from "../operation/store.ts";
import { isEstablished, type OrganizationDocument } from "../organization/organization.ts";
import * as organizationStore from "../organization/store.ts";
import { isShared, organizationOf, parseConnectionDetails, type Placement, placeKey } from "../tenant/placement.ts";
import { listRetired, type RetiredPlace } from "../tenant/retired.ts";
import { isStage, placeOfStage } from "../tenant/stage.ts";

/**
 * What the records say of who is where. It has to be read after whatever it is to judge: what is there and has a record
 * has had it from before it was there. And the operations before the organizations: one that ends in between has written
 * its organization by then.
 */
export type Known = {
  operations: Operation[];
  organizations: OrganizationDocument[];
  retired: RetiredPlace[];
  organization(id: string): OrganizationDocument | undefined;
  isBusy(organizationId: string): boolean;
  /** Whether an organization, or an operation that is under way, has to do with a collection. */
  isClaimed(place: Pick<Placement, "database" | "collection">): boolean;
  isClaimedDatabase(database: string): boolean;
  /** The keys under which somebody's documents may be in the shared collection. */
  sharedKeys: ReadonlySet<string>;
};

const isPlacement = (value: unknown): value is Placement =>
  typeof value === "object" && value !== null && "database" in value && "collection" in value && "key" in value;

/** Every place that an operation's progress names, whatever it calls it. */
const placesOf = ({ progress }: Partial<Pick<Operation, "progress">>): Placement[] =>
  Object.values(progress ?? {})
    .flatMap((value) => (Array.isArray(value) ? value : [value]))
    .filter(isPlacement);

const spot = ({ database, collection }: Pick<Placement, "database" | "collection">) => `${database}/${collection}`;

/** @param except a claim of the doctor's own */
export async function readKnown(db: Db, except?: ObjectId): Promise<Known> {
  const operations = await findAllOpen(db);
  const retired = await listRetired(db);
  const organizations = (await organizationStore.listAll(db)).filter(({ _id }) => !except?.equals(_id));
  const byId = new Map(organizations.map((one) => [one._id.toHexString(), one]));
  const busy = new Set(operations.map(({ organization_id }) => organization_id.toHexString()));
  const underWay = operations.flatMap(placesOf);
  const settled = organizations.flatMap(({ placement }) => (placement ? [placement] : []));
  const places = [...settled, ...underWay, ...retired.map(({ placement }) => placement)];
  const spots = new Set(places.map(spot));
  for (const { place_keys = [] } of organizations) for (const key of place_keys) spots.add(spotOfKey(key));
  // Of a database that isn't taken over, or where it is in doubt whose a collection is.
  for (const { placement, connection_details } of organizations) {
    const collection = placement ? null : parseConnectionDetails(connection_details);
    if (collection !== null) spots.add(spot({ database: db.databaseName, collection }));
  }
  const databases = new Set(places.map(({ database }) => database));
  const keys = operations.flatMap(({ progress }) => (Array.isArray(progress.keys) ? progress.keys.map(String) : []));
  return {
    operations,
    organizations,
    retired,
    organization: (id) => byId.get(id),
    isBusy: (id) => busy.has(id),
    isClaimed: ({ database, collection }) =>
      spots.has(spot({ database, collection })) ||
      (isStage(collection) && underWay.some((to) => to.database === database && isStageOf(to, collection))),
    isClaimedDatabase: (database) => databases.has(database),
    sharedKeys: new Set([...[...settled, ...underWay].filter(isShared).map(({ key }) => key), ...keys]),
  };
}

/**
 * Which of these collections a record names, whose place or stage they were or were to be: that of an operation, an ended
 * one too, or the place of an organization beside which a stage stands.
 */
export async function readRecorded(
  db: Db,
  all: readonly Named[],
  known: Pick<Known, "isClaimed">,
): Promise<(one: Named) => boolean> {
  const recorded = new Set<string>();
  const recordedNames = new Set<unknown>();
  // Of a tenant's own database the stages are known by the tenant.
  const asked = all.filter(({ database }) => database === db.databaseName).map(placeOf);
  for (let start = 0; start < asked.length; start += askedMax) {
    const some = asked.slice(start, start + askedMax).map(({ collection }) => collection);
    for (const operation of await findNaming(
      db,
      some,
      some.flatMap((one) => organizationOf(one) ?? []),
    )) {
      for (const place of placesOf(operation)) recorded.add(spot(place));
      recordedNames.add(operation.input?.organization_name);
    }
  }
  return (one) => {
    const place = placeOf(one);
    if (isStage(one.collection) && known.isClaimed(place)) return true;
    if (recorded.has(spot(place))) return true;
    const name = one.database === db.databaseName ? organizationOf(place.collection) : null;
    return name !== null && recordedNames.has(name);
  };
}
type Named = Pick<Placement, "database" | "collection">;
const askedMax = 500;
/** The place beside which a stage stands; any other collection itself. */
const placeOf = ({ database, collection }: Named): Named => ({ database, collection: placeOfStage(collection) });

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
  if (!organization) return (await findEnding(db, id)) !== null;
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
