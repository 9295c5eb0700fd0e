import { isDeepStrictEqual } from "node:util";
import { BSON, type Db, type Document } from "mongodb";
import { emailKeys } from "../../src/admin/admin.ts";
import { admins, findByEmail } from "../../src/admin/store.ts";
import { operations } from "../../src/operation/store.ts";
import { viewOrganization } from "../../src/organization/organization.ts";
import { organizations } from "../../src/organization/store.ts";
import { isTenantCollection, ownerOfDatabase, type Placement, placeKey } from "../../src/tenant/placement.ts";

/**
 * What a test put into an organization's collection and wants to find there again, in the order of `_id`; each `_id` starts
 * with the organization's, so that it is seen when it is found at another's.
 */
export type Belongings = { organizationId: string; documents: Document[]; indexes: string[] };

/**
 * Everything that must not be once no request runs and every operation had its time to end; empty when all is well.
 * Each violation is a line that says what is wrong with which record.
 */
export async function findViolations(db: Db, belongings: Belongings[] = []): Promise<string[]> {
  const allOrganizations = await organizations(db).find().toArray();
  const allAdmins = await admins(db).find().toArray();
  const collections = (await db.listCollections({}, { nameOnly: true }).toArray()).map(({ name }) => name);
  const violations: string[] = [];

  for (const organization of allOrganizations) {
    const id = organization._id.toHexString();
    const found = (what: string) => violations.push(`organization ${organization.organization_name} (${id}) ${what}`);
    if (organization.status !== "active") {
      found(`stays ${organization.status}`);
      continue;
    }
    const own = allAdmins.filter((admin) => admin.organization_id === id);
    if (own.length !== 1) found(`has ${own.length} admins`);
    for (const admin of own) {
      if (admin.email !== organization.email) found(`has email ${organization.email}, its admin ${admin.email}`);
      if (admin.organization_name !== organization.organization_name) {
        found(`is named ${admin.organization_name} at its admin`);
      }
    }
    const means = await findByEmail(db, organization.email);
    if (means?.organization_id !== id) found(`is not found by its email ${organization.email}`);
    const { placement } = organization;
    if (!placement) {
      found("has no place");
      continue;
    }
    if (!isDeepStrictEqual(organization.place_keys, [placeKey(placement)])) {
      found(`is at ${placeKey(placement)} but holds the places ${organization.place_keys?.join(", ")}`);
    }
    const { connection_details } = viewOrganization(organization);
    if (connection_details !== detailsOf(placement))
      found(`is at ${placement.collection} but says ${connection_details}`);
    const home = db.client.db(placement.database);
    if ((await home.listCollections({ name: placement.collection }).toArray()).length === 0) {
      found(`has no collection ${placement.collection}`);
      continue;
    }
    const indexes = (await home.collection(placement.collection).indexes()).map(({ name }) => name);
    const wanted = belongings.filter(({ organizationId }) => organizationId === id);
    const isStarter = placement.tier === "starter";
    for (const index of [
      isStarter ? "tenant_id_1_created_at_1" : "created_at_1",
      ...wanted.flatMap((one) => one.indexes),
    ]) {
      if (!indexes.includes(index)) found(`has no index ${index} on ${placement.collection}`);
    }
    const kept = await home
      .collection<Document>(placement.collection)
      .find(isStarter ? { tenant_id: id } : {})
      .sort({ _id: 1 })
      .toArray();
    for (const { documents } of wanted) {
      if (!isDeepStrictEqual(kept, documents))
        found(`holds ${kept.length} documents, not the ${documents.length} it should`);
    }
    const foreign = kept.filter(({ _id }) => !String(isStarter ? (_id as Document).i : _id).startsWith(id));
    if (foreign.length > 0) found(`holds another's documents: ${foreign.map(({ _id }) => _id).join(", ")}`);
  }

  for (const { organizationId } of belongings) {
    if (!allOrganizations.some(({ _id }) => _id.toHexString() === organizationId)) {
      violations.push(`organization ${organizationId} is gone`);
    }
  }

  for (const admin of allAdmins) {
    const found = (what: string) => violations.push(`admin ${admin.email} (${admin._id.toHexString()}) ${what}`);
    if (!allOrganizations.some(({ _id }) => _id.toHexString() === admin.organization_id)) {
      found(`belongs to no organization (${admin.organization_id})`);
    }
    if (!isDeepStrictEqual(admin.email_keys, emailKeys(admin.email))) {
      found(`holds the keys ${admin.email_keys?.join(", ")}`);
    }
  }

  // A place that was left is looked at whenever it is due.
  for (const operation of await operations(db)
    .find({ kind: { $ne: "sweep" }, $or: [{ open: true }, { status: "running" }, { secret: { $exists: true } }] })
    .toArray()) {
    const { kind, step, status, error } = operation;
    violations.push(
      `operation ${kind}/${step} stays ${status}${operation.secret ? " with its secret" : ""} ${error?.message ?? ""}`,
    );
  }

  // What is personal goes with the operation, and with the organization.
  const ended = await operations(db)
    .find({ open: { $exists: false } })
    .toArray();
  const removals = ended.filter(({ kind, status }) => kind === "remove" && status === "succeeded");
  const removed = new Set(removals.map(({ organization_id }) => organization_id.toHexString()));
  for (const operation of ended) {
    const words = removed.has(operation.organization_id.toHexString()) ? /@|org_|"origin"/ : /@|"origin"/;
    const personal = words.exec(BSON.EJSON.stringify(operation))?.[0];
    if (personal) violations.push(`operation ${operation.kind} has ended and still holds ${personal}`);
  }
  for (const name of ["sessions", "idempotency_keys"]) {
    for (const { organization_id } of await db.collection(name).find().toArray()) {
      if (removed.has(String(organization_id)))
        violations.push(`${name} of ${organization_id}, which is gone, are left`);
    }
  }

  const placed = new Set(allOrganizations.map(({ placement }) => placement?.collection));
  for (const name of collections.filter(isTenantCollection)) {
    if (!placed.has(name)) violations.push(`collection ${name} belongs to no organization`);
  }
  const owned = new Set(allOrganizations.map(({ placement }) => placement?.database));
  for (const { name } of (await db.admin().listDatabases({ nameOnly: true })).databases) {
    const isTenants = ownerOfDatabase(db.databaseName, name) !== null;
    if (isTenants && !owned.has(name)) violations.push(`database ${name} belongs to no organization`);
  }
  const stays = new Set(allOrganizations.map(({ placement }) => placement?.tier === "starter" && placement.key));
  for (const key of await db.collection("tenant_documents").distinct("tenant_id")) {
    if (!stays.has(key)) violations.push(`shared documents of ${key} belong to no organization`);
  }
  return violations;
}

const detailsOf = ({ tier, database, collection }: Placement): string =>
  tier === "professional"
    ? `Collection: ${collection}`
    : tier === "starter"
      ? "Shared collection: tenant_documents"
      : `Database: ${database}`;

/** How many operations somebody still has to end. */
export const countOpenOperations = (db: Db): Promise<number> => operations(db).countDocuments({ open: true });

/** Which operations are open, for the message of a test that waited for them in vain. */
export async function describeOpenOperations(db: Db): Promise<string> {
  const open = await operations(db).find({ open: true }).toArray();
  return open
    .map(
      ({ kind, step, lease, error, history }) =>
        `${kind}/${step} ${JSON.stringify({ lease, error, steps: history.length })}`,
    )
    .join("; ");
}
