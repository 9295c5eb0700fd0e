import { afterAll, beforeAll } from "bun:test";
import { type Db, type Document, ObjectId } from "mongodb";
import { createDeps } from "../../src/boot.ts";
import { createClient } from "../../src/lib/mongo/client.ts";
import { prepare } from "../../src/prepare.ts";
import type { Deps } from "../../src/deps.ts";
import { doctor, type Report } from "../../src/fleet/doctor.ts";
import { createLogger } from "../../src/log.ts";
import { type DriveDeps, driveAbandoned } from "../../src/operation/drive.ts";
import type { Operation } from "../../src/operation/operation.ts";
import { findById, operations } from "../../src/operation/store.ts";
import { createOrganization } from "../../src/organization/create.ts";
import { getById } from "../../src/organization/store.ts";
import { createDeployments } from "../../src/tenant/deployments.ts";
import { defaultRegion, type Placement, type Tier } from "../../src/tenant/placement.ts";
import { firstMeta, toStored } from "../../src/tenant/stored.ts";
import { dropAll, newcomer, testConfig } from "./service.ts";

export type Lodger = { _id: ObjectId; id: string; name: string; placement: Placement };

/** Everything but a service: nobody does anything to the database unless the test does. */
export type Fleet = {
  deps: Deps;
  db: Db;
  /** Makes an organization with two documents. */
  settle(tier: Tier): Promise<Lodger>;
  examine(): Promise<Report[]>;
  repair(): Promise<Report[]>;
  close(): Promise<void>;
};

/** Documents as the door stores them. */
export const stored = (placement: Placement, ids: readonly unknown[], fields: Document = {}): Document[] =>
  ids.map((id) => toStored(placement, { id, fields, meta: firstMeta("test") }));

export const deploymentsOf = (db: Db) => createDeployments({ [defaultRegion]: db });

export const collectionOf = (db: Db, { database, collection }: Pick<Placement, "database" | "collection">) =>
  db.client.db(database).collection<Document>(collection);

/** Drives an operation as long as it runs, but `rounds` times at most, and as soon as its lease has run out, whoever held it. */
export async function driveToRest(
  { db, deps }: { db: Db; deps: DriveDeps },
  id: ObjectId,
  rounds = 12,
): Promise<Operation> {
  for (let round = 0; round < rounds; round++) {
    await operations(db).updateOne({ _id: id, open: true }, { $set: { "lease.until": new Date(0) } });
    const { organization_id, status } = (await findById(db, id))!;
    if (status !== "running") break;
    await driveAbandoned(deps, 30_000, undefined, { organization_id });
  }
  return (await findById(db, id))!;
}

export async function openFleet(settings: Record<string, string> = {}): Promise<Fleet> {
  const config = testConfig({ PLACEMENT_LEASE_MS: "20", PASSWORD_WORKERS: "1", ...settings });
  const deps = await createDeps(config, createClient(config.mongodbUrl), createLogger("silent"));
  await deps.db.client.connect();
  await prepare(deps);
  const { db } = deps;
  const run = async (repair: boolean) => {
    const reports: Report[] = [];
    const left = await doctor(deps, { repair }, (one) => reports.push(one));
    if (left !== reports.filter(({ mended }) => mended !== true).length) throw new Error("the doctor miscounts");
    return reports;
  };
  return {
    deps,
    db,
    async settle(tier) {
      const who = newcomer(tier);
      const made = await createOrganization({ ...deps, config: { ...config, defaultTier: tier } }, who);
      const _id = new ObjectId(made.id);
      const placement = (await getById(db, _id)).placement!;
      await collectionOf(db, placement).insertMany(stored(placement, ["a", "b"]));
      return { _id, id: made.id, name: made.organization_name, placement };
    },
    examine: () => run(false),
    repair: () => run(true),
    async close() {
      await dropAll(db);
      await deps.close();
    },
  };
}

/** A fleet for all tests of a file, or of a `describe`: it is there from their beginning on. */
export function useFleet(settings: Record<string, string> = {}): Fleet {
  const fleet = {} as Fleet;
  beforeAll(async () => {
    Object.assign(fleet, await openFleet(settings));
  }, 60_000);
  afterAll(() => fleet.close(), 60_000);
  return fleet;
}
