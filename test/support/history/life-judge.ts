import { EJSON } from "bson";
import type { Db } from "mongodb";
import { ObjectId } from "mongodb";
import { findTenantKeys, tenantCollections } from "../tenant-scan.ts";
import type { Violation } from "./check.ts";
import type { Event } from "./history.ts";
import { type Call, type Instance, isOdd } from "./life-line.ts";

/** Answers that no caller could expect. */
export function findOddAnswers(instances: Instance[], calls: Call[]): Violation[] {
  const odd = (of: string, what: string, status: number | null, code = ""): Violation => ({
    rule: "odd answer",
    key: null,
    message: `${status} ${code} to ${what} of ${of}`,
  });
  const byOwner = new Map(instances.map((one) => [one.owner, one]));
  const isRemoving = (of: string, endMs: number) => endMs >= (byOwner.get(of)?.removingMs ?? Infinity);
  const asked = [200, 201, 204, 404, 412, 503];
  return [
    ...calls
      .filter((call) => isOdd(call, isRemoving(call.of, call.endMs)))
      .map(({ of, what, status, code }) => odd(of, what, status, code)),
    ...instances.flatMap(({ owner, access }) =>
      access.recorder.events
        .filter(({ status, outcome, endMs }) => {
          if (status === null || asked.includes(status) || (status === 409 && outcome !== "unknown")) return false;
          return !(status === 401 && isRemoving(owner, endMs));
        })
        .map(({ kind, status }) => odd(owner, kind, status)),
    ),
  ];
}

/**
 * How long readers, or writers, may be refused by processes that nothing hits. The door waits 5 s before it refuses; a dead
 * driver's lease lasts 1.5 s here and others look every 1.25 s; a statement has 3.5 s for its answer. So much may come
 * together once, with the request that is refused last; what lasts longer is held up by something that has no bound. On a
 * busy machine all of it takes longer, by what the slowest answer took.
 */
export const refusedMsMax = (instances: Instance[]): number => {
  const answers = instances.flatMap(({ access }) => access.recorder.events.filter(({ outcome }) => outcome === "ok"));
  return 15_000 + Math.max(0, ...answers.map(({ startMs, endMs }) => endMs - startMs));
};

/** The longest time in which an organization's readers, or writers, heard nothing but 503, or nothing. */
export function longestRefusal(events: readonly Event[], isHit: (process: number) => boolean): number {
  let longest = 0;
  for (const reads of [true, false]) {
    let sinceMs: number | null = null;
    for (const { kind, status, process, startMs, endMs } of events) {
      if (isHit(process) || (kind === "get" || kind === "list") !== reads) continue;
      if (status !== null && status !== 503) {
        sinceMs = null;
        continue;
      }
      sinceMs ??= startMs;
      longest = Math.max(longest, endMs - sinceMs);
    }
  }
  return longest;
}

type Place = { database: string; collection: string; key: string };

/** Documents that carry an organization and lie anywhere but where it lives, and collections in which nobody lives. */
export async function findStrays(db: Db, instances: Instance[]): Promise<string[]> {
  const records = await db.collection("organizations").find().toArray();
  const placements = records.flatMap(({ placement }): Place[] => placement ?? []);
  const isAt = (a: Omit<Place, "key">, b: Place) => a.database === b.database && a.collection === b.collection;
  const stray = (await findTenantKeys(db))
    .filter(({ key, ...where }) => !placements.some((at) => at.key === key && isAt(where, at)))
    .map(({ key, count, database, collection }) => {
      const owner = instances.find(({ id }) => key?.startsWith(id));
      return `${count} documents of ${owner?.owner ?? key}${owner?.removedMs ? ", which is removed," : ""} in ${database}.${collection}`;
    });
  const empty = (await tenantCollections(db)).filter(
    (where) =>
      (where.database !== db.databaseName || where.collection.startsWith("org_")) &&
      !placements.some((at) => isAt(where, at)),
  );
  return [
    ...stray,
    ...empty.map(({ database, collection }) => `the collection ${database}.${collection} in which nobody lives`),
  ];
}

/** How many documents of each bulk insert are there that should be, and aren't, or the other way round. */
export async function findWrongBulks(db: Db, { owner, bulks }: Instance, at: Place): Promise<Violation[]> {
  const group = { $group: { _id: "$bulk", count: { $sum: 1 } } };
  const match = { $match: { bulk: { $exists: true }, tenant_id: at.key } };
  const there = await db.client.db(at.database).collection(at.collection).aggregate([match, group]).toArray();
  return bulks.flatMap(({ number, size, outcome }) => {
    const count = there.find(({ _id }) => _id === number)?.count ?? 0;
    const isRight = outcome === "ok" ? count === size : count <= size;
    const message = `${count} of ${size} documents of ${owner}'s bulk insert ${number} (${outcome})`;
    return isRight ? [] : [{ rule: count < size ? "lost write" : "stored twice", key: null, message }];
  });
}

/** What still names a removed organization where no operation of its is open any more. */
export async function findPersonal(db: Db, instances: Instance[]): Promise<string[]> {
  const found: string[] = [];
  for (const name of ["operations", "idempotency_keys"]) {
    for (const { id, owner, email, removedMs } of instances) {
      if (removedMs === null) continue;
      const records = await db
        .collection(name)
        .find({ organization_id: new ObjectId(id) })
        .toArray();
      const named =
        name === "operations"
          ? records.filter(
              (record) =>
                EJSON.stringify(record).includes(email) || /"organization_name"/.test(EJSON.stringify(record)),
            )
          : records;
      if (named.length > 0) found.push(`${named.length} records of ${owner} in ${name}`);
    }
  }
  return found;
}
