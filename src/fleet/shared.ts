import { type Db, ObjectId } from "mongodb";
import { settleCommon } from "../flows/indexes/common-index.ts";
import { flows } from "../flows/index.ts";
import { run } from "../operation/run.ts";
import { findOpen } from "../operation/store.ts";
import { isEstablished } from "../organization/organization.ts";
import * as organizationStore from "../organization/store.ts";
import { isCommon } from "../tenant/place/indexes.ts";
import { defaultRegion, isShared, sharedCollection, type TenantIndex } from "../tenant/placement.ts";
import { createSharedCollection } from "../tenant/place/storage.ts";
import {
  dropSharedIndex,
  missingSharedBase,
  parseSharedIndexName,
  removeSharedKey,
  sharedIndexNames,
  sharesOfShared,
  wantedSharedIndexes,
} from "../tenant/place/survey.ts";
import { type DoctorDeps, type Finding, type Symptom, tenantText } from "./finding.ts";
import { hasLeft, isStay, type Known, ownerOfKey, type Page, readKnown } from "./known.ts";

/** Documents in the shared collection that are no tenant's. */
export async function examineSharedDocuments({ db, deployments }: DoctorDeps): Promise<Symptom[]> {
  const symptoms: Symptom[] = [];
  for await (const shares of sharesOfShared(deployments, defaultRegion)) {
    const known = await readKnown(db);
    const unknown = await known.unknownKeys(shares.map(({ tenant }) => String(tenant)));
    for (const { tenant, documents } of shares) {
      const owner = ownerOfKey(tenant);
      if (!unknown.has(String(tenant)) || (owner !== null && known.isBusy(owner))) continue;
      const finding: Finding = { finding: "shared_documents_without_tenant", tenant_id: tenantText(tenant), documents };
      const isLeft = async () => owner !== null && (await hasLeft(db, owner, isStay(String(tenant))));
      const mend = async () => {
        if (await isLeft()) await removeSharedKey(deployments, defaultRegion, String(tenant));
      };
      symptoms.push({ finding, ...((await isLeft()) && { mend }) });
    }
  }
  return symptoms;
}

/** What tenants want of the shared collection, among the indexes that it has: those that none wants are left over. */
export type SharedIndexes = { existing: ReadonlySet<string>; wanted: Set<string> };

export const surveySharedIndexes = async ({ deployments }: DoctorDeps): Promise<SharedIndexes> => ({
  existing: new Set(await sharedIndexNames(deployments, defaultRegion)),
  wanted: new Set(),
});

const whereShared = (db: Db) => ({ database: db.databaseName, collection: sharedCollection });

/** Indexes of the shared collection that tenants asked for and that are missing; what is wanted is noted. */
export function examineWantedIndexes(
  deps: DoctorDeps,
  { existing, wanted }: SharedIndexes,
  { known, organizations }: Page,
): Symptom[] {
  const symptoms: Symptom[] = [];
  for (const { _id, status, placement } of organizations) {
    if (!placement || !isShared(placement)) continue;
    const organization_id = _id.toHexString();
    for (const { index, name } of wantedSharedIndexes(placement)) {
      if (existing.has(name)) wanted.add(name);
      else if (placement.region === defaultRegion && isEstablished({ status }) && !known.isBusy(organization_id)) {
        const mend = () => changeIndex(deps, _id, placement.key, { create: index });
        const where = whereShared(deps.db);
        symptoms.push({ finding: { finding: "index_missing", organization_id, ...where, index: name }, mend });
      }
    }
  }
  return symptoms;
}

/** Indexes of the shared collection that it has to have, and that nobody asked for any more. */
export async function examineSharedIndexes(
  deps: DoctorDeps,
  { existing, wanted }: SharedIndexes,
  known: Known,
): Promise<Symptom[]> {
  const { db } = deps;
  const symptoms: Symptom[] = missingSharedBase(existing).map((index) => ({
    finding: { finding: "index_missing", ...whereShared(db), index },
    mend: () => createSharedCollection(deps.deployments.of(defaultRegion)),
  }));
  for (const index of [...existing].filter((name) => !wanted.has(name))) {
    const mend = await mendingOf(deps, index, known);
    if (mend) symptoms.push({ finding: { finding: "index_without_tenant", ...whereShared(db), index }, ...mend });
  }
  return symptoms;
}

/** How an index that nobody lists is removed; null when it isn't to be judged now. */
async function mendingOf(deps: DoctorDeps, index: string, known: Known): Promise<Pick<Symptom, "mend"> | null> {
  const { db, deployments } = deps;
  const parsed = parseSharedIndexName(index);
  if (parsed.kind === "base") return null;
  if (parsed.kind === "unknown") return {};
  if (parsed.kind === "common") {
    if (mayBeWanted(known)) return null;
    // One of a kind that tenants don't share any more is nobody's.
    const drop = () => dropSharedIndex(deployments, defaultRegion, index);
    const settle = () => settleCommon({ deps: { db, deployments }, operation: null }, [parsed.index]);
    return { mend: isCommon(parsed.index) ? settle : drop };
  }
  const owner = ownerOfKey(parsed.key)!;
  if (known.isBusy(owner)) return null;
  const placement = (await organizationStore.findById(db, new ObjectId(owner)))?.placement;
  if (placement && isStay(parsed.key)(placement)) {
    // Its indexes are changed where it lives.
    if (placement.region !== defaultRegion) return {};
    // Built by an operation that never said so: the tenant doesn't know of it, and is refused what it forbids.
    const drop: TenantIndex = { name: parsed.name, key: {}, unique: true };
    return { mend: () => changeIndex(deps, new ObjectId(owner), parsed.key, { drop }) };
  }
  const isLeft = () => hasLeft(db, owner, isStay(parsed.key));
  const mend = async () => {
    if (await isLeft()) await dropSharedIndex(deployments, defaultRegion, index);
  };
  return (await isLeft()) ? { mend } : {};
}

/** An operation builds an index before the placement lists it. */
const mayBeWanted = ({ operations }: Known) => operations.some(({ kind }) => flows[kind]?.buildsIndexes ?? true);

const budgetMs = 10 * 60_000;

/** Makes or drops a tenant's index as the tenant would, so that nothing else changes its place meanwhile. */
async function changeIndex(
  deps: DoctorDeps,
  organization_id: ObjectId,
  key: string,
  change: { create: TenantIndex } | { drop: TenantIndex },
): Promise<void> {
  if (await findOpen(deps.db, organization_id)) return;
  const placement = (await organizationStore.findById(deps.db, organization_id))?.placement;
  if (!placement || !isStay(key)(placement)) return;
  const name = "create" in change ? change.create.name : change.drop.name;
  const isListed = (placement.indexes ?? []).some((index) => index.name === name);
  if (isListed !== "create" in change) return;
  const input = { change: JSON.stringify(change) };
  await run(deps, { _id: new ObjectId(), organization_id, kind: "index", input }, budgetMs);
}
