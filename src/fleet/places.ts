import { type Db, ObjectId } from "mongodb";
import { isEstablished } from "../organization/organization.ts";
import * as organizationStore from "../organization/store.ts";
import { findById as findOperation, findOpen } from "../operation/store.ts";
import {
  defaultRegion,
  isShared,
  isTenantCollection,
  type Placement,
  placeKey,
  type Tier,
  tiers,
} from "../tenant/placement.ts";
import { findLacks, type Lack } from "../tenant/rights.ts";
import { isStage, markerKey } from "../tenant/stage.ts";
import { createPlace, dropCollection, type Existing, existingCollections, identify } from "../tenant/storage.ts";
import {
  dropEnterpriseDatabase,
  enterpriseDatabases,
  missingBaseIndexes,
  removeForeign,
  type Share,
  sharesOf,
  stagedBy,
} from "../tenant/survey.ts";
import { type DoctorDeps, forEach, type Symptom, tenantText } from "./finding.ts";
import { hasLeft, isPlace, type Known, ownerOfKey, readKnown, readRecorded } from "./known.ts";

const atOnce = 4;

/** Everything that looks like a tenant's collection or database, read before the records that it is compared with. */
export type Storage = {
  collections: Existing[];
  databases: { database: string; organizationId: string }[];
  /** What the database's user may not do: the places of these tiers can't be looked at. */
  lacks: Lack[];
};

export async function surveyStorage(db: Db): Promise<Storage> {
  const collections = await existingCollections(db, db.databaseName);
  const lacks = await findLacks(db);
  const databases = isLacking(lacks, "enterprise") ? [] : await enterpriseDatabases(db);
  const within: Existing[][] = [];
  await forEach(databases, atOnce, async ({ database }) => {
    within.push(await existingCollections(db, database));
  });
  return {
    collections: [...collections.filter(({ collection }) => isTenantCollection(collection)), ...within.flat()],
    databases,
    lacks,
  };
}

const isLacking = (lacks: Lack[], tier: Tier) => lacks.some(({ feature }) => feature === tier);

/** Rights that are missing for a tier that is in use. */
export async function examineRights({ db, config }: DoctorDeps, { lacks }: Storage): Promise<Symptom[]> {
  const symptoms: Symptom[] = [];
  for (const tier of tiers) {
    const lack = lacks.find(({ feature }) => feature === tier);
    if (!lack || (tier !== config.defaultTier && !(await organizationStore.isInUse(db, tier)))) continue;
    const database = lack.reach === "own" ? db.databaseName : null;
    symptoms.push({ finding: { finding: "rights_missing", tier, database, actions: lack.actions } });
  }
  return symptoms;
}

/** Collections and enterprise databases of no organization. */
export async function examineUnclaimed({ db }: DoctorDeps, storage: Storage, known: Known): Promise<Symptom[]> {
  const symptoms: Symptom[] = [];
  for (const { database, organizationId } of storage.databases) {
    if (known.isClaimedDatabase(database) || known.isBusy(organizationId)) continue;
    const finding = { finding: "database_without_organization", database, organization_id: organizationId } as const;
    const mine = storage.collections.filter((one) => one.database === database);
    const isLeft = async () => {
      if (!(await hasLeft(db, organizationId, (placement) => placement.database === database))) return false;
      for (const one of mine) {
        if (!one.isPlain || !isAllOf(organizationId, await sharesOf(db, one))) return false;
      }
      return true;
    };
    const mend = async () => {
      if (await isLeft()) await dropEnterpriseDatabase(db, database);
    };
    symptoms.push((await isLeft()) ? { finding, mend } : { finding });
  }
  const orphans = new Set(symptoms.map(({ finding }) => ("database" in finding ? finding.database : "")));
  const unclaimed = storage.collections.filter((one) => !orphans.has(one.database) && !known.isClaimed(one));
  const isRecorded = await readRecorded(db, unclaimed, known);
  await forEach(unclaimed, atOnce, async (one) => {
    const { database, collection } = one;
    const finding = { finding: "collection_without_organization", database, collection } as const;
    // No place is a view or the like, whatever its name: it isn't even looked into.
    if (!one.isPlain) return void symptoms.push({ finding: { ...finding, documents: null } });
    const shares = await sharesOf(db, one);
    const documents = shares.reduce((sum, share) => sum + share.documents, 0);
    const isLeft = async () => await isLeftBehind(db, one, await sharesOf(db, one), isRecorded(one));
    const mend = () => (isStage(collection) ? dropStage : dropLeft)(db, one, isLeft);
    const isMendable = await isLeftBehind(db, one, shares, isRecorded(one));
    symptoms.push({ finding: { ...finding, documents }, ...(isMendable && { mend }) });
  });
  return symptoms;
}

const isAllOf = (organizationId: string, shares: Share[]) =>
  shares.every(({ tenant }) => tenant === markerKey || ownerOfKey(tenant) === organizationId);

/**
 * Whether all that is in a collection can be shown to be nobody's any more: what its tenants left, or nothing, where a
 * record names the collection. An empty one that none names may be anybody's.
 */
async function isLeftBehind(db: Db, one: Existing, shares: Share[], isRecorded: boolean): Promise<boolean> {
  if (shares.length === 0) return isRecorded;
  for (const { tenant } of shares) {
    if (tenant === markerKey) {
      const operationId = await stagedBy(db, one);
      if (operationId && (await findOperation(db, operationId))?.open) return false;
      continue;
    }
    const owner = ownerOfKey(tenant);
    if (owner === null || !(await hasLeft(db, owner, isPlace(one)))) return false;
  }
  return true;
}

/** Drops what a move copied to and left. Another one's stage may have got the same name since; its move is open then. */
async function dropStage(db: Db, one: Existing, isLeft: () => Promise<boolean>): Promise<void> {
  if (!(await isLeft())) return;
  await dropIfUnclaimed(db, one);
}

/**
 * Drops a collection under a claim to its place, so that nobody comes to live there meanwhile: an empty one is to be had
 * by any newcomer of that name.
 */
async function dropLeft(db: Db, one: Existing, isLeft: () => Promise<boolean>): Promise<void> {
  const key = placeKey({ region: defaultRegion, ...one });
  await organizationStore.withPlaceClaimed(db, key, async (claim) => {
    if (await isLeft()) await dropIfUnclaimed(db, one, claim);
  });
}

/** A process that was stopped since it looked must not act on what it saw then. */
const freshMs = 2_000;

async function dropIfUnclaimed(db: Db, one: Existing, claim?: ObjectId): Promise<void> {
  for (;;) {
    const sinceMs = performance.now();
    if ((await readKnown(db, claim)).isClaimed(one)) return;
    const now = await identify(db, one);
    if (!now || now.uuid !== one.identity.uuid) return;
    if (performance.now() - sinceMs > freshMs) continue;
    return await dropCollection(db, one, one.identity);
  }
}

/** Organizations whose own collection isn't there, lacks an index that every one has, or holds what is another's. */
export async function examinePlaces({ db }: DoctorDeps, storage: Storage, known: Known): Promise<Symptom[]> {
  const symptoms: Symptom[] = [];
  const existing = new Set(storage.collections.map(({ database, collection }) => `${database}/${collection}`));
  await forEach(known.organizations, atOnce, async ({ _id, status, placement }) => {
    const organization_id = _id.toHexString();
    if (!isEstablished({ status }) || !placement || isShared(placement) || known.isBusy(organization_id)) return;
    if (isLacking(storage.lacks, placement.tier)) return;
    const { database, collection } = placement;
    const mend = () => createMissing(db, organization_id, placement);
    if (!existing.has(`${database}/${collection}`)) {
      symptoms.push({
        finding: { finding: "organization_without_storage", organization_id, database, collection },
        mend,
      });
      return;
    }
    for (const index of await missingBaseIndexes(db, placement)) {
      symptoms.push({ finding: { finding: "index_missing", organization_id, database, collection, index }, mend });
    }
    symptoms.push(...(await examineForeign(db, organization_id, placement)));
  });
  return symptoms;
}

/** Not while an operation is under way, which may just have renamed the collection. */
async function createMissing(db: Db, organizationId: string, placement: Placement): Promise<void> {
  const now = await livingAt(db, organizationId, placement);
  if (now) await createPlace(db, now);
}

async function livingAt(db: Db, organizationId: string, placement: Placement): Promise<Placement | null> {
  const organization = await organizationStore.findEstablishedById(db, new ObjectId(organizationId));
  if (!organization?.placement || placeKey(organization.placement) !== placeKey(placement)) return null;
  return (await findOpen(db, organization._id)) ? null : organization.placement;
}

async function examineForeign(db: Db, organization_id: string, placement: Placement): Promise<Symptom[]> {
  const { database, collection, key, unstamped } = placement;
  const symptoms: Symptom[] = [];
  for (const { tenant, documents } of await sharesOf(db, placement, key)) {
    // The first Croupier's documents, which count as the tenant's own.
    if (tenant === null && unstamped) continue;
    const tenant_id = tenantText(tenant);
    const finding = {
      finding: "foreign_documents",
      organization_id,
      database,
      collection,
      tenant_id,
      documents,
    } as const;
    const owner = ownerOfKey(tenant);
    const isLeft = async () =>
      tenant === markerKey
        ? (await livingAt(db, organization_id, placement)) !== null
        : owner !== null && owner !== organization_id && (await hasLeft(db, owner, isPlace(placement)));
    const mend = async () => {
      if (await isLeft()) await removeForeign(db, placement, String(tenant));
    };
    symptoms.push({ finding, ...((await isLeft()) && { mend }) });
  }
  return symptoms;
}
