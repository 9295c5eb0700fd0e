import type { Db } from "mongodb";
import { hasErrorCode } from "../../src/lib/mongo/mongo.ts";
import { organizations } from "../../src/organization/store.ts";
import { isTenantCollection, ownerOfDatabase, type Placement } from "../../src/tenant/placement.ts";

/** Documents of one tenant key in one collection; null: they carry none. */
export type Found = { database: string; collection: string; key: string | null; count: number };

/** Every collection that could hold tenants' documents: of the master database, and of those of enterprise tenants. */
export async function tenantCollections(db: Db): Promise<{ database: string; collection: string }[]> {
  const { databases } = await db.admin().listDatabases({ nameOnly: true });
  const found: { database: string; collection: string }[] = [];
  for (const { name } of databases) {
    const isMaster = name === db.databaseName;
    if (!isMaster && ownerOfDatabase(db.databaseName, name) === null) continue;
    for (const collection of await db.client.db(name).listCollections({}, { nameOnly: true }).toArray()) {
      if (collection.name.startsWith("system.")) continue;
      found.push({ database: name, collection: collection.name });
    }
  }
  return found;
}

const planKilled = 175;

/** Looks at every collection of a Croupier, its own records too, for documents that carry a tenant. */
export async function findTenantKeys(db: Db): Promise<Found[]> {
  const found: Found[] = [];
  for (const { database, collection } of await tenantCollections(db)) {
    const group = { $group: { _id: "$tenant_id", count: { $sum: 1 } } };
    const looked = db.client.db(database).collection(collection).aggregate([group]).toArray();
    // It is dropped while it is looked at.
    const groups = await looked.catch((error) => {
      if (hasErrorCode(error, planKilled)) return null;
      throw error;
    });
    if (!groups) return await findTenantKeys(db);
    for (const { _id, count } of groups) {
      if (_id != null) found.push({ database, collection, key: String(_id), count });
      else if (database !== db.databaseName || isTenantCollection(collection))
        found.push({ database, collection, key: null, count });
    }
  }
  return found;
}

/** What is anywhere of an organization but where it lives, and collections that nobody lives in; a line each. */
export async function findLeftovers(db: Db, organizationId: string): Promise<string[]> {
  const placements = (await organizations(db).find().toArray()).flatMap(({ placement }) => placement ?? []);
  const found = (await findTenantKeys(db))
    .filter(({ key }) => key?.startsWith(organizationId))
    .filter(({ key, ...where }) => !placements.some((at) => at.key === key && isAt(at, where)))
    .map(({ key, count, ...where }) => `${count} documents of ${key} in ${nameOf(where)}`);
  const empty = (await tenantCollections(db))
    .filter(({ database, collection }) => database !== db.databaseName || isTenantCollection(collection))
    .filter((where) => !placements.some((at) => isAt(at, where)));
  return [...found, ...empty.map((where) => `the collection ${nameOf(where)}`)];
}

type Where = Pick<Found, "database" | "collection">;
const isAt = (at: Placement, { database, collection }: Where) =>
  at.database === database && at.collection === collection;
const nameOf = ({ database, collection }: Where) => `${database}.${collection}`;
