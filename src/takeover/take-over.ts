import type { AnyBulkWriteOperation, Collection, Document, Filter } from "mongodb";
import { type AdminDocument, emailKey } from "../admin/admin.ts";
import { admins } from "../admin/store.ts";
import type { Deps } from "../deps.ts";
import { within } from "../lib/mongo.ts";
import type { OrganizationDocument } from "../organization/organization.ts";
import { organizations } from "../organization/store.ts";
import { defaultRegion, parseConnectionDetails, type Placement, placeKey } from "../tenant/placement.ts";

type TakeOverDeps = Pick<Deps, "db" | "log">;

const batchSizeMax = 1_000;

/**
 * Completes the records of the first Croupier where they are: organizations get their placement, tier, region and status,
 * admins the key that they are found by. Only fields that aren't there are added, so it may be done again and by several
 * processes at once, and a database that is complete isn't written to.
 */
export async function takeOver(deps: TakeOverDeps): Promise<{ organizations: number; admins: number }> {
  const done = { organizations: await completeOrganizations(deps), admins: await completeAdmins(deps) };
  if (done.organizations + done.admins > 0) deps.log.info(done, "records of the first Croupier completed");
  return done;
}

async function completeOrganizations({ db }: TakeOverDeps): Promise<number> {
  // Those in doubt are read again too: a process that died in between, or one beside this, may have completed one of two
  // that name the same collection, and the other is in doubt all the same.
  const unplaced = await organizations(db)
    .find({ placement: null }, { projection: { connection_details: 1, placement: 1 }, ...within(60_000) })
    .toArray();
  const incomplete = unplaced.filter(({ placement }) => placement === undefined);
  if (incomplete.length === 0) return 0;
  const claims = Map.groupBy(unplaced, ({ connection_details }) => parseConnectionDetails(connection_details));
  const held = await heldValues(organizations(db), "place_keys");
  const writes = incomplete.map(({ _id, connection_details }): AnyBulkWriteOperation<OrganizationDocument> => {
    const collection = parseConnectionDetails(connection_details);
    // Two that name one collection, or one that names none: whose documents they are is in doubt, so nobody gets them.
    const home = { region: defaultRegion, database: db.databaseName, collection: collection ?? "" };
    const place = {
      ...home,
      tier: "professional" as const,
      key: _id.toHexString(),
      epoch: 1,
      unstamped: true as const,
    };
    const certain = collection !== null && claims.get(collection)!.length === 1 && !held.has(placeKey(place));
    const placement: Placement | null = certain ? place : null;
    const completion = {
      tier: "professional" as const,
      region: defaultRegion,
      status: "active" as const,
      placement,
      ...(placement && { place_keys: [placeKey(placement)] }),
    };
    return { updateOne: { filter: { _id, placement: { $exists: false } }, update: { $set: completion } } };
  });
  return await write(writes, (batch) => organizations(db).bulkWrite(batch, { ordered: false, ...within(60_000) }));
}

async function completeAdmins({ db }: TakeOverDeps): Promise<number> {
  const incomplete = await admins(db)
    .find({ email_keys: { $exists: false } }, { projection: { email: 1, created_at: 1 }, ...within(60_000) })
    .sort({ created_at: 1, _id: 1 })
    .toArray();
  if (incomplete.length === 0) return 0;
  const held = await heldValues(admins(db), "email_keys");
  const rivals = Map.groupBy(incomplete, ({ email }) => emailKey(String(email)));
  const writes = incomplete.map((admin): AnyBulkWriteOperation<AdminDocument> => {
    const key = emailKey(String(admin.email));
    const same = rivals.get(key)!;
    // Of several that differ in case only one is found in any case: the one in lower case, else the oldest. The others are
    // found by exactly their own spelling, as they always were.
    const owner = held.has(key) ? null : (same.find(({ email }) => email === key) ?? same[0]);
    const spelled = String(admin.email).normalize("NFC");
    const others = same.filter((other) => other !== admin);
    const spelledSo = others.some(({ email }) => String(email).normalize("NFC") === spelled);
    // Not even normalizing tells these two apart: what is stored does.
    const own = spelledSo || spelled === key || held.has(spelled) ? String(admin.email) : spelled;
    const email_keys = [owner === admin ? key : own];
    return {
      updateOne: { filter: { _id: admin._id, email_keys: { $exists: false } }, update: { $set: { email_keys } } },
    };
  });
  return await write(writes, (batch) => admins(db).bulkWrite(batch, { ordered: false, ...within(60_000) }));
}

/** Every value that complete records hold in a field whose values are unique. */
async function heldValues<T extends Document>(collection: Collection<T>, field: string): Promise<Set<string>> {
  const held = new Set<string>();
  const filter = { [field]: { $exists: true } } as Filter<T>;
  for await (const record of collection.find(filter, { projection: { [field]: 1 }, ...within(60_000) })) {
    for (const value of record[field]) held.add(value);
  }
  return held;
}

async function write<T extends Document>(
  writes: AnyBulkWriteOperation<T>[],
  send: (batch: AnyBulkWriteOperation<T>[]) => Promise<{ modifiedCount: number }>,
): Promise<number> {
  let modified = 0;
  for (let start = 0; start < writes.length; start += batchSizeMax) {
    modified += (await send(writes.slice(start, start + batchSizeMax))).modifiedCount;
  }
  return modified;
}
