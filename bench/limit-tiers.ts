/** Where the limit keeps documents: in the shape that Croupier gives them in each tier, with the same indexes. */
import { type Collection, type Db, type Document, MaxKey, MinKey } from "mongodb";
import type { Tier } from "../src/tenant/placement.ts";

export interface LimitPlace {
  collection: Collection;
  /** All of the tenant's documents, a range of the index of `_id`. */
  all: Document;
  idIn(id: unknown): unknown;
  idOf(stored: unknown): unknown;
}

const plain = (collection: Collection): LimitPlace => ({
  collection,
  all: {},
  idIn: (id) => id,
  idOf: (stored) => stored,
});

/** The places of one database; the enterprise tier has another beside it. */
export const limitTiers = (db: Db): Record<Tier, (tenant: string) => LimitPlace> => ({
  starter: (tenant) => ({
    collection: db.collection("tenant_documents"),
    all: { _id: { $gte: { t: tenant, i: new MinKey() }, $lte: { t: tenant, i: new MaxKey() } } },
    idIn: (id) => ({ t: tenant, i: id }),
    idOf: (stored) => (stored as Document).i,
  }),
  professional: (tenant) => plain(db.collection(`org_${tenant}`)),
  enterprise: (tenant) => plain(enterpriseOf(db).collection(`documents_${tenant}`)),
});

export const enterpriseOf = (db: Db): Db => db.client.db(`${db.databaseName}_own`);

export async function createLimitIndexes(db: Db, tenants: string[]): Promise<void> {
  const shared = db.collection("tenant_documents");
  await shared.createIndex({ tenant_id: 1, "_id.i": 1 });
  await shared.createIndex({ tenant_id: 1, created_at: 1 });
  const places = limitTiers(db);
  for (const tenant of tenants) {
    await places.professional(tenant).collection.createIndex({ created_at: 1 });
    await places.enterprise(tenant).collection.createIndex({ created_at: 1 });
  }
}
