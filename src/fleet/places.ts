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
import type { Lack } from "../tenant/place/rights.ts";
import { isStage, markerKey } from "../tenant/copy/stage.ts";
import {
  completePlace,
  dropCollection,
  type Existing,
  existingCollections,
  findCollection,
  identify,
} from "../tenant/place/storage.ts";
import {
  collectionNames,
  dropEnterpriseDatabase,
  type EnterpriseDatabase,
  enterpriseDatabases,
  missingBaseIndexes,
  removeForeign,
  type Share,
  sharesOf,
  stagedBy,
} from "../tenant/place/survey.ts";
import { type DoctorDeps, forEach, type Symptom, tenantText } from "./finding.ts";
import { hasLeft, isPlace, isRecorded, ownerOfKey, type Page, readKnown } from "./known.ts";

const atOnce = 4;

/** What looks like a tenant's collection in a database and is nobody's, as far as the records that are read after it say. */
async function unclaimedIn(
  { db, deployments }: DoctorDeps,
  { region, database }: Pick<Placement, "region" | "database">,
): Promise<Existing[]> {
  const found: Existing[] = [];
  for await (const names of collectionNames(deployments, { region, database })) {
    // The server keeps some for itself.
    const isTheirs = (name: string) =>
      database === db.databaseName ? isTenantCollection(name) : !name.startsWith("system.");
    const theirs = names.filter(isTheirs);
    if (theirs.length === 0) continue;
    const known = await readKnown(db);
    for (const named of await known.unclaimed(theirs.map((collection) => ({ region, database, collection })))) {
      const one = await findCollection(deployments, named);
      if (one) found.push(one);
    }
  }
  return found;
}

const isLacking = (lacks: Lack[], tier: Tier) => lacks.some(({ feature }) => feature === tier);

/** Rights that are missing for a tier that is in use. */
export async function examineRights({ db, config }: DoctorDeps, lacks: Lack[]): Promise<Symptom[]> {
  const symptoms: Symptom[] = [];
  for (const tier of tiers) {
    const lack = lacks.find(({ feature }) => feature === tier);
    if (!lack || (tier !== config.defaultTier && !(await organizationStore.isInUse(db, tier)))) continue;
    const database = lack.reach === "own" ? db.databaseName : null;
    symptoms.push({ finding: { finding: "rights_missing", tier, database, actions: lack.actions } });
  }
  return symptoms;
}

/** Collections and enterprise databases of no organization. @param lacks what the database's user may not do: that isn't looked at */
export async function examineUnclaimed(deps: DoctorDeps, lacks: Lack[]): Promise<Symptom[]> {
  const { db, deployments } = deps;
  const region = defaultRegion;
  const symptoms: Symptom[] = [];
  const unclaimed = await unclaimedIn(deps, { region, database: db.databaseName });
  for await (const databases of isLacking(lacks, "enterprise") ? [] : enterpriseDatabases(deployments, region)) {
    const known = await readKnown(db);
    const orphans = (await known.unclaimedDatabases(databases)).filter((one) => !known.isBusy(one.organizationId));
    for (const orphan of orphans) symptoms.push(await examineDatabase(deps, orphan));
    const others = databases.filter((one) => !orphans.includes(one));
    await forEach(others, atOnce, async (other) => {
      unclaimed.push(...(await unclaimedIn(deps, other)));
    });
  }
  await forEach(unclaimed, atOnce, async (one) => {
    const { database, collection } = one;
    const finding = { finding: "collection_without_organization", database, collection } as const;
    // No place is a view or the like, whatever its name: it isn't even looked into.
    if (!one.isPlain) return void symptoms.push({ finding: { ...finding, documents: null } });
    const shares = await sharesOf(deployments, one);
    const documents = shares.reduce((sum, share) => sum + share.documents, 0);
    const isLeft = async () => await isLeftBehind(deps, one, await sharesOf(deployments, one));
    const mend = () => (isStage(collection) ? dropStage : dropLeft)(deps, one, isLeft);
    const isMendable = await isLeftBehind(deps, one, shares);
    symptoms.push({ finding: { ...finding, documents }, ...(isMendable && { mend }) });
  });
  return symptoms;
}

/** A database of no organization. */
async function examineDatabase({ db, deployments }: DoctorDeps, orphan: EnterpriseDatabase): Promise<Symptom> {
  const { database, organizationId } = orphan;
  const finding = { finding: "database_without_organization", database, organization_id: organizationId } as const;
  const isLeft = async () => {
    if (!(await hasLeft(db, organizationId, (placement) => placement.database === database))) return false;
    for (const one of await existingCollections(deployments, orphan)) {
      if (!one.isPlain || !isAllOf(organizationId, await sharesOf(deployments, one))) return false;
    }
    return true;
  };
  const mend = async () => {
    if (await isLeft()) await dropEnterpriseDatabase(deployments, orphan);
  };
  return (await isLeft()) ? { finding, mend } : { finding };
}

const isAllOf = (organizationId: string, shares: Share[]) =>
  shares.every(({ tenant }) => tenant === markerKey || ownerOfKey(tenant) === organizationId);

/**
 * Whether all that is in a collection can be shown to be nobody's any more: what its tenants left, or nothing, where a
 * record names the collection. An empty one that none names may be anybody's.
 */
async function isLeftBehind({ db, deployments }: DoctorDeps, one: Existing, shares: Share[]): Promise<boolean> {
  if (shares.length === 0) return await isRecorded(db, await readKnown(db), one);
  for (const { tenant } of shares) {
    if (tenant === markerKey) {
      const operationId = await stagedBy(deployments, one);
      if (operationId && (await findOperation(db, operationId))?.open) return false;
      continue;
    }
    const owner = ownerOfKey(tenant);
    if (owner === null || !(await hasLeft(db, owner, isPlace(one)))) return false;
  }
  return true;
}

/** Drops what a move copied to and left. No stage has its name again, as a later one carries a higher fence. */
async function dropStage(deps: DoctorDeps, one: Existing, isLeft: () => Promise<boolean>): Promise<void> {
  if (await isLeft()) await dropIfUnclaimed(deps, one);
}

/**
 * Drops a collection under a claim to its place, so that nobody comes to live there meanwhile; and as the drop may arrive late,
 * the place is retired before the claim is given up.
 */
async function dropLeft(deps: DoctorDeps, one: Existing, isLeft: () => Promise<boolean>): Promise<void> {
  await organizationStore.withPlaceClaimed(deps.db, placeKey(one), async (claim) => {
    if (await isLeft()) await dropIfUnclaimed(deps, one, claim);
  });
}

/** A process that was stopped since it looked must not act on what it saw then. */
const freshMs = 2_000;

async function dropIfUnclaimed({ db, deployments }: DoctorDeps, one: Existing, claim?: ObjectId): Promise<void> {
  for (;;) {
    const sinceMs = performance.now();
    if ((await (await readKnown(db, claim)).unclaimed([one])).length === 0) return;
    const now = await identify(deployments, one);
    if (!now || now.uuid !== one.identity.uuid) return;
    if (performance.now() - sinceMs > freshMs) continue;
    return await dropCollection(deployments, one, one.identity);
  }
}

/**
 * Organizations in a region that isn't there, and those whose own collection isn't, lacks an index that every one has, or holds
 * what is another's.
 */
export async function examinePlaces(
  deps: DoctorDeps,
  { known, organizations }: Page,
  lacks: Lack[],
): Promise<Symptom[]> {
  const symptoms: Symptom[] = [];
  await forEach(organizations, atOnce, async ({ _id, status, placement }) => {
    const organization_id = _id.toHexString();
    if (!isEstablished({ status }) || !placement || known.isBusy(organization_id)) return;
    if (!deps.deployments.has(placement.region))
      return void symptoms.push({ finding: { finding: "organization_without_place", organization_id } });
    if (isShared(placement) || isLacking(lacks, placement.tier)) return;
    const { database, collection } = placement;
    const mend = () => createMissing(deps, organization_id, placement);
    const missing = await missingBaseIndexes(deps.deployments, placement);
    if (missing === null) {
      symptoms.push({
        finding: { finding: "organization_without_storage", organization_id, database, collection },
        mend,
      });
      return;
    }
    for (const index of missing) {
      symptoms.push({ finding: { finding: "index_missing", organization_id, database, collection, index }, mend });
    }
    symptoms.push(...(await examineForeign(deps, organization_id, placement)));
  });
  return symptoms;
}

/** Not while an operation is under way, which may just have renamed the collection. */
async function createMissing(
  { db, deployments }: DoctorDeps,
  organizationId: string,
  placement: Placement,
): Promise<void> {
  const now = await livingAt(db, organizationId, placement);
  if (now) await completePlace(deployments, now);
}

async function livingAt(db: Db, organizationId: string, placement: Placement): Promise<Placement | null> {
  const organization = await organizationStore.findEstablishedById(db, new ObjectId(organizationId));
  if (!organization?.placement || placeKey(organization.placement) !== placeKey(placement)) return null;
  return (await findOpen(db, organization._id)) ? null : organization.placement;
}

async function examineForeign(
  { db, deployments }: DoctorDeps,
  organization_id: string,
  placement: Placement,
): Promise<Symptom[]> {
  const { database, collection, key, unstamped } = placement;
  const symptoms: Symptom[] = [];
  for (const { tenant, documents } of await sharesOf(deployments, placement, key)) {
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
      if (await isLeft()) await removeForeign(deployments, placement, String(tenant));
    };
    symptoms.push({ finding, ...((await isLeft()) && { mend }) });
  }
  return symptoms;
}
