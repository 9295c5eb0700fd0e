import { emailKey } from "../admin/admin.ts";
import { admins } from "../admin/store.ts";
import type { Deps } from "../deps.ts";
import { within } from "../lib/mongo.ts";
import { organizationNamePattern } from "../organization/organization.ts";
import { established } from "../organization/organization.ts";
import { organizations } from "../organization/store.ts";
import { defaultRegion, isShared, isTenantCollection, placeKey } from "../tenant/placement.ts";
import { isStage } from "../tenant/stage.ts";

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

/** `collection` is null where nobody knows it, and `elsewhere` where it isn't one of its own in this database. */
type Organization = { id: string; name: string; email: string; collection: string | null; elsewhere?: boolean };
type Admin = { id: string; organizationId: string; organizationName: string; email: string };

/** What is wrong with these records; changes nothing and guesses nothing. */
export function findDamage(
  all: Organization[],
  allAdmins: Admin[],
  collections: string[],
  isHeld: (collection: string) => boolean,
): Finding[] {
  const findings: Finding[] = [];
  const organizationById = new Map(all.map((organization) => [organization.id, organization]));
  const adminsOf = Map.groupBy(allAdmins, ({ organizationId }) => organizationId);
  const existing = new Set(collections);
  const placed = new Set(all.map(({ collection }) => collection));

  for (const { id: organization_id, name, email, collection, elsewhere } of all) {
    const own = adminsOf.get(organization_id) ?? [];
    if (own.length === 0) findings.push({ finding: "organization_without_admin", organization_id });
    if (!organizationNamePattern.test(name) || name !== name.toLowerCase()) {
      findings.push({ finding: "organization_name_invalid", organization_id });
    }
    if (collection === null) findings.push({ finding: "organization_without_place", organization_id });
    else if (!elsewhere && !existing.has(collection)) {
      findings.push({ finding: "organization_without_collection", organization_id, collection });
    }
    const first = own[0];
    if (first && own.every((admin) => admin.email !== email)) {
      findings.push({ finding: "organization_email_differs", organization_id, admin_id: first.id });
    }
  }
  for (const { id: admin_id, organizationId, organizationName } of allAdmins) {
    const organization = organizationById.get(organizationId);
    if (!organization) findings.push({ finding: "admin_without_organization", admin_id });
    else if (organization.name !== organizationName) {
      findings.push({ finding: "admin_organization_name_differs", admin_id, organization_id: organizationId });
    }
  }
  for (const same of Map.groupBy(allAdmins, ({ email }) => emailKey(email)).values()) {
    if (same.length > 1) findings.push({ finding: "emails_differ_in_case_only", admin_ids: same.map(({ id }) => id) });
  }
  for (const collection of collections.filter(isTenantCollection)) {
    if (!placed.has(collection) && !isHeld(collection))
      findings.push({ finding: "collection_without_organization", collection });
  }
  return findings;
}

/** Reads the records, finds what is damaged in them, and logs each finding. */
export async function inspect({ db, log }: Pick<Deps, "db" | "log">): Promise<Finding[]> {
  const projection = { organization_name: 1, email: 1, placement: 1, place_keys: 1 };
  const held = new Set<string>();
  // Established ones only: the others belong to an operation that is under way.
  const active = await organizations(db)
    .find({ status: { $in: [...established] } }, { projection, ...within(60_000) })
    .map(({ _id, organization_name, email, placement, place_keys = [] }): Organization => {
      for (const key of place_keys) held.add(key);
      return {
        id: _id.toHexString(),
        name: String(organization_name),
        email: String(email),
        collection: placement?.collection ?? null,
        elsewhere: placement != null && (isShared(placement) || placement.database !== db.databaseName),
      };
    })
    .toArray();
  const known = await organizations(db)
    .find({ status: { $nin: [...established] } }, { projection: { placement: 1, place_keys: 1 }, ...within(60_000) })
    .toArray();
  for (const { place_keys = [] } of known) for (const key of place_keys) held.add(key);
  const underWay = new Set(known.map(({ _id }) => _id.toHexString()));
  const allAdmins = await admins(db)
    .find({}, { projection: { email: 1, organization_id: 1, organization_name: 1 }, ...within(60_000) })
    .map(({ _id, email, organization_id, organization_name }): Admin => ({
      id: _id.toHexString(),
      email: String(email),
      organizationId: String(organization_id),
      organizationName: String(organization_name),
    }))
    .toArray();
  const collections = await db.listCollections({}, { nameOnly: true, ...within(60_000) }).toArray();
  const home = { region: defaultRegion, database: db.databaseName };
  // A move holds the place that it goes to, and has stages; what of these is left over `croupier doctor` finds.
  const isHeld = (collection: string) => isStage(collection) || held.has(placeKey({ ...home, collection }));
  const placedUnderWay = new Set(known.map(({ placement }) => placement?.collection));
  const findings = findDamage(
    active,
    allAdmins.filter(({ organizationId }) => !underWay.has(organizationId)),
    collections.map(({ name }) => name).filter((name) => !placedUnderWay.has(name)),
    isHeld,
  );
  for (const finding of findings) log.warn(finding, "damaged record");
  return findings;
}
