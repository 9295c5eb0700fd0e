import type { AnyBulkWriteOperation, Db, Filter } from "mongodb";
import { type AdminDocument, emailKey } from "../admin/admin.ts";
import { noteRestored } from "../admin/founding-store.ts";
import { admins } from "../admin/store.ts";
import type { Deps } from "../deps.ts";
import { inBatches } from "../lib/batches.ts";
import { majority, within } from "../lib/mongo/mongo.ts";
import type { OrganizationDocument } from "../organization/organization.ts";
import { organizations } from "../organization/store.ts";
import { findHolders, unplaced } from "../organization/all/survey.ts";
import { defaultRegion, parseConnectionDetails, type Placement, placeKey } from "../tenant/placement.ts";

type TakeOverDeps = Pick<Deps, "db" | "log">;

/** How many records the first Croupier had left incomplete. */
export type Completed = { organizations: number; admins: number };

const batchSizeMax = 1_000;
/** The first start has all there are to complete. */
const walkMs = 30 * 60_000;

/**
 * Completes the records of the first Croupier where they are: organizations get their placement, tier, region and status,
 * admins the key that they are found by. Only fields that aren't there are added, so it may be done again and by several
 * processes at once, and a database that is complete isn't written to. Indexes say what is incomplete, so that a start reads
 * nothing else.
 */
export async function takeOver(deps: TakeOverDeps): Promise<Completed> {
  // Before: the process may die when all is completed, and then there is nothing left that says so.
  if (!(await isTakenOver(deps.db)) && (await noteRestored(deps.db))) {
    const detail = "its clients send no current_password, and none is asked for without REQUIRE_CURRENT_PASSWORD";
    deps.log.info(`records of the first Croupier in a database that was empty: ${detail}`);
  }
  const done = { organizations: await completeOrganizations(deps), admins: await completeAdmins(deps) };
  if (done.organizations + done.admins > 0) {
    deps.log.info(done, "records of the first Croupier completed");
    deps.log.info(
      "clients of the first Croupier that read the errors of a 422 need VALIDATION_ERRORS=v1; others don't",
    );
  }
  return done;
}

type Unplaced = Pick<OrganizationDocument, "_id" | "placement" | "connection_details">;
type Claim = { _id: Unplaced["_id"]; collection: string | null; isAlone: boolean };

/** Whether no organization is as the first Croupier has written it. */
export const isTakenOver = async (db: Db): Promise<boolean> => {
  const untouched = { ...unplaced, placement: { $exists: false } } as unknown as Filter<OrganizationDocument>;
  return (await organizations(db).findOne(untouched, { projection: { _id: 1 }, ...majority, ...within() })) === null;
};

async function completeOrganizations({ db }: TakeOverDeps): Promise<number> {
  // Those in doubt are read again too: a process that died in between, or one beside this, may have completed one of two
  // that name the same collection, and the other is in doubt all the same.
  const found = organizations(db).find<Unplaced>(unplaced, {
    projection: { connection_details: 1, placement: 1 },
    sort: { connection_details: 1 },
    allowDiskUse: true,
    ...within(walkMs),
  });
  let modified = 0;
  for await (const claims of inBatches(claimsOf(found), batchSizeMax)) {
    const places = claims.map(({ _id, collection, isAlone }): Placement | null =>
      // Two that name one collection, or one that names none: whose documents they are is in doubt, so nobody gets them.
      collection === null || !isAlone
        ? null
        : {
            region: defaultRegion,
            database: db.databaseName,
            collection,
            tier: "professional",
            key: _id.toHexString(),
            epoch: 1,
            unstamped: true,
          },
    );
    const keys = places.flatMap((place) => (place ? [placeKey(place)] : []));
    const held = new Set((await findHolders(db, keys)).flatMap(({ place_keys = [] }) => place_keys));
    const writes = claims.map(({ _id }, index): AnyBulkWriteOperation<OrganizationDocument> => {
      const place = places[index]!;
      const placement = place && !held.has(placeKey(place)) ? place : null;
      const completion = {
        tier: "professional" as const,
        region: defaultRegion,
        status: "active" as const,
        placement,
        ...(placement && { place_keys: [placeKey(placement)] }),
      };
      return { updateOne: { filter: { _id, placement: { $exists: false } }, update: { $set: completion } } };
    });
    modified += (await organizations(db).bulkWrite(writes, { ordered: false, ...within(60_000) })).modifiedCount;
  }
  return modified;
}

/** What incomplete ones claim. Those that name one collection come one after the other. */
async function* claimsOf(found: AsyncIterable<Unplaced>): AsyncGenerator<Claim> {
  let last = null as (Unplaced & Claim) | null;
  const settled = (one: typeof last): Claim[] => (one && one.placement === undefined ? [one] : []);
  for await (const next of found) {
    const collection = parseConnectionDetails(next.connection_details);
    if (collection === null) {
      if (next.placement === undefined) yield { _id: next._id, collection, isAlone: true };
      continue;
    }
    const isAlone: boolean = last?.collection !== collection;
    if (last && !isAlone) last.isAlone = false;
    yield* settled(last);
    last = { ...next, collection, isAlone };
  }
  yield* settled(last);
}

async function completeAdmins({ db }: TakeOverDeps): Promise<number> {
  const incomplete = { email_keys: null } as unknown as Filter<AdminDocument>;
  const found = admins(db).find(incomplete, {
    projection: { email: 1 },
    // Of several that differ in case only, the oldest comes first.
    sort: { created_at: 1, _id: 1 },
    allowDiskUse: true,
    ...within(walkMs),
  });
  let modified = 0;
  for await (const batch of inBatches(found, batchSizeMax)) {
    const spelled = batch.map(({ email }) => String(email).normalize("NFC"));
    const keys = batch.map(({ email }) => emailKey(String(email)));
    // In this order: who is complete when the second is asked holds a key.
    const namesakes = await admins(db)
      .find({ email: { $in: [...keys, ...spelled] } }, { projection: { email: 1 }, ...majority, ...within(60_000) })
      .toArray();
    const isOthers = (email: string, than: AdminDocument) =>
      namesakesOf.get(email)?.some(({ _id }) => !_id.equals(than._id)) ?? false;
    const namesakesOf = Map.groupBy(namesakes, ({ email }) => email);
    const wanted = [...keys, ...spelled, ...batch.map(({ email }) => String(email))];
    const holders = admins(db).find(
      { email_keys: { $in: wanted } },
      { projection: { email_keys: 1 }, ...majority, ...within(60_000) },
    );
    const taken = new Set((await holders.toArray()).flatMap(({ email_keys }) => email_keys));
    const writes = batch.flatMap((admin, index): AnyBulkWriteOperation<AdminDocument>[] => {
      const key = keys[index]!;
      const own = String(admin.email);
      const form = spelled[index]!;
      // Of several that differ in case only one is found in any case: the one in lower case, else the oldest. The others are
      // found by exactly their own spelling, as they always were; by what is stored where not even normalizing tells them apart.
      const isFoundInAnyCase = !taken.has(key) && !isOthers(key, admin);
      const isForm = form !== key && !taken.has(form) && !isOthers(form, admin);
      const found_by = isFoundInAnyCase ? key : isForm ? form : own;
      // What is another's already: which of them is meant is in doubt, and that one goes on.
      if (taken.has(found_by)) return [];
      taken.add(found_by);
      return [
        {
          updateOne: {
            filter: { _id: admin._id, ...incomplete },
            update: { $set: { email_keys: [found_by] } },
          },
        },
      ];
    });
    if (writes.length === 0) continue;
    modified += (await admins(db).bulkWrite(writes, { ordered: false, ...within(60_000) })).modifiedCount;
  }
  return modified;
}
