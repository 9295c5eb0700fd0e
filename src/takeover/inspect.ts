import { ObjectId } from "mongodb";
import { type AdminDocument, emailKey } from "../admin/admin.ts";
import { admins } from "../admin/store.ts";
import type { Deps } from "../deps.ts";
import { inPages } from "../lib/batches.ts";
import { majority, within } from "../lib/mongo/mongo.ts";
import { isEstablished, type OrganizationDocument, organizationNamePattern } from "../organization/organization.ts";
import { findAmong, findHolders, findPlaced, surveyMax, surveyPage } from "../organization/all/survey.ts";
import { defaultRegion, isShared, isTenantCollection, placeKey } from "../tenant/placement.ts";
import { isStage } from "../tenant/copy/stage.ts";
import { collectionNames, existingAmong } from "../tenant/place/survey.ts";

/** One thing that is wrong with the records. Ids and names of collections only: findings are logged. */
export type Finding =
  | { finding: "organization_without_admin"; organization_id: string }
  | { finding: "organization_without_place"; organization_id: string }
  | { finding: "organization_without_collection"; organization_id: string; collection: string }
  | { finding: "organization_name_invalid"; organization_id: string }
  | { finding: "organization_email_differs"; organization_id: string; admin_id: string }
  | { finding: "admin_without_organization"; admin_id: string }
  | { finding: "admin_organization_name_differs"; admin_id: string; organization_id: string }
  | { finding: "emails_differ_in_case_only"; admin_ids: string[] }
  | { finding: "collection_without_organization"; collection: string };

/** Of the records themselves, wherever the documents are. */
type DamagedRecord = Exclude<Finding, { collection: string }>;

/** Reads the records, finds what is damaged in them, and logs each finding; it holds some hundred records at a time. */
export async function inspect(deps: Pick<Deps, "db" | "deployments" | "log">): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const damages of [damagedRecords, damagedPlaces]) {
    for await (const finding of damages(deps)) {
      deps.log.warn(finding, "damaged record");
      findings.push(finding);
    }
  }
  return findings;
}

type Db = Deps["db"];

/** Established ones, page by page: the others belong to an operation that is under way. */
async function* establishedPages(db: Db): AsyncGenerator<OrganizationDocument[]> {
  for await (const page of inPages((after: ObjectId | null) => surveyPage(db, after), surveyMax)) {
    yield page.filter(isEstablished);
  }
}

/** What is wrong in the records themselves; changes nothing and guesses nothing. */
export async function* damagedRecords({ db }: Pick<Deps, "db">): AsyncGenerator<DamagedRecord> {
  for await (const page of establishedPages(db)) yield* damagedOrganizations(db, page);
  yield* damagedAdmins(db);
}

async function* damagedOrganizations(db: Db, page: OrganizationDocument[]): AsyncGenerator<DamagedRecord> {
  const ids = page.map(({ _id }) => _id.toHexString());
  const options = { projection: { email: 1, organization_id: 1 }, ...majority, ...within(60_000) };
  const found = await admins(db)
    .find({ organization_id: { $in: ids } }, options)
    .toArray();
  const adminsOf = Map.groupBy(found, ({ organization_id }) => organization_id);
  for (const { _id, organization_name, email, placement } of page) {
    const organization_id = _id.toHexString();
    const own = adminsOf.get(organization_id) ?? [];
    const name = String(organization_name);
    if (own.length === 0) yield { finding: "organization_without_admin", organization_id };
    if (!organizationNamePattern.test(name) || name !== name.toLowerCase()) {
      yield { finding: "organization_name_invalid", organization_id };
    }
    if (!placement) yield { finding: "organization_without_place", organization_id };
    const first = own[0];
    if (first && own.every((admin) => String(admin.email) !== String(email))) {
      yield { finding: "organization_email_differs", organization_id, admin_id: first._id.toHexString() };
    }
  }
}

async function* damagedAdmins(db: Db): AsyncGenerator<DamagedRecord> {
  /** Of a database that is taken over few: who isn't found by an email in any case. */
  const othersOf = new Map<string, string[]>();
  for await (const page of inPages((after: ObjectId | null) => adminPage(db, after), surveyMax)) {
    for (const { admin, organization } of await withOrganizations(db, page)) {
      if (organization && !isEstablished(organization)) continue;
      const admin_id = admin._id.toHexString();
      if (!organization) yield { finding: "admin_without_organization", admin_id };
      else if (String(organization.organization_name) !== String(admin.organization_name)) {
        const organization_id = organization._id.toHexString();
        yield { finding: "admin_organization_name_differs", admin_id, organization_id };
      }
      const key = emailKey(String(admin.email));
      if (!admin.email_keys?.includes(key)) othersOf.set(key, [...(othersOf.get(key) ?? []), admin_id]);
    }
  }
  const keys = [...othersOf.keys()];
  for (let start = 0; start < keys.length; start += surveyMax) {
    const some = keys.slice(start, start + surveyMax);
    const holders = await admins(db)
      .find({ email_keys: { $in: some } }, adminOptions())
      .toArray();
    const holderOf = new Map<string, string>();
    for (const { admin, organization } of await withOrganizations(db, holders)) {
      const isHidden = organization !== undefined && !isEstablished(organization);
      const key = emailKey(String(admin.email));
      if (!isHidden && admin.email_keys.includes(key)) holderOf.set(key, admin._id.toHexString());
    }
    for (const key of some) {
      const holder = holderOf.get(key);
      const admin_ids = [...(holder === undefined ? [] : [holder]), ...othersOf.get(key)!];
      if (admin_ids.length > 1) yield { finding: "emails_differ_in_case_only", admin_ids };
    }
  }
}

const adminOptions = () => ({
  projection: { email: 1, email_keys: 1, organization_id: 1, organization_name: 1 },
  ...majority,
  ...within(60_000),
});

const adminPage = (db: Db, after: ObjectId | null): Promise<AdminDocument[]> =>
  admins(db)
    .find(after ? { _id: { $gt: after } } : {}, { sort: { _id: 1 }, limit: surveyMax, ...adminOptions() })
    .toArray();

async function withOrganizations(
  db: Db,
  page: AdminDocument[],
): Promise<{ admin: AdminDocument; organization: OrganizationDocument | undefined }[]> {
  const ids = page.map(({ organization_id }) => String(organization_id)).filter((id) => /^[0-9a-f]{24}$/.test(id));
  const found = await findAmong(
    db,
    ids.map((id) => new ObjectId(id)),
  );
  const byId = new Map(found.map((one) => [one._id.toHexString(), one]));
  return page.map((admin) => ({ admin, organization: byId.get(String(admin.organization_id)) }));
}

/** Organizations whose collection isn't there, and collections that no organization has, of those in the master database. */
async function* damagedPlaces({ db, deployments }: Pick<Deps, "db" | "deployments">): AsyncGenerator<Finding> {
  const home = { region: defaultRegion, database: db.databaseName };
  for await (const page of establishedPages(db)) {
    const here = page.flatMap(({ _id, placement }) =>
      placement && !isShared(placement) && placement.region === defaultRegion && placement.database === db.databaseName
        ? [{ organization_id: _id.toHexString(), collection: placement.collection }]
        : [],
    );
    const names = here.map(({ collection }) => collection);
    const existing = await existingAmong(deployments, home, names);
    for (const one of here) {
      if (!existing.has(one.collection)) yield { finding: "organization_without_collection", ...one };
    }
  }
  for await (const names of collectionNames(deployments, home)) {
    // A move has stages; what of these is left over `croupier doctor` finds.
    const own = names.filter((name) => isTenantCollection(name) && !isStage(name));
    if (own.length === 0) continue;
    const placed = await findPlaced(db, db.databaseName, own);
    // A move holds the place that it goes to.
    const keyOf = (collection: string) => placeKey({ ...home, collection });
    const held = new Set((await findHolders(db, own.map(keyOf))).flatMap(({ place_keys = [] }) => place_keys));
    const theirs = new Set(placed.map(({ placement }) => placement?.collection));
    for (const collection of own) {
      if (!theirs.has(collection) && !held.has(keyOf(collection))) {
        yield { finding: "collection_without_organization", collection };
      }
    }
  }
}
