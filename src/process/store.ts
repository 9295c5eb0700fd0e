import type { Collection, Db } from "mongodb";
import { retryDeadlock, within } from "../lib/mongo/mongo.ts";

/** A process that runs, as the others know it. */
export type ProcessRecord = {
  /** Of this run: one that is started again, with other settings perhaps, is another. */
  _id: string;
  version: string;
  placement_lease_ms: number;
  /** When it was last heard of, by the database's clock. */
  seen_at: Date;
};

const processes = (db: Db): Collection<ProcessRecord> => db.collection("processes");

/** Writes that a process is there, acknowledged by the majority. @returns its `seen_at` */
export async function writeSeen(db: Db, { _id, version, ...rest }: Omit<ProcessRecord, "seen_at">): Promise<Date> {
  const set = { $set: { version: { $literal: version }, ...rest, seen_at: "$$NOW" } };
  const options = { upsert: true, returnDocument: "after", ...within() } as const;
  const written = await retryDeadlock(() => processes(db).findOneAndUpdate({ _id }, [set], options));
  if (!written) throw new Error("the record of this process could not be written");
  return written.seen_at;
}

/**
 * The longest lease of those that were heard of since then, of all when it is null; 0 when there are none. All that is
 * there counts: of what the majority has, a new primary may for a moment show an older state than was acknowledged.
 */
export async function findLongestLease(db: Db, since: Date | null): Promise<number> {
  const found = await processes(db)
    .find(since ? { seen_at: { $gte: since } } : {}, { projection: { placement_lease_ms: 1 }, ...within() })
    .toArray();
  return Math.max(0, ...found.map(({ placement_lease_ms }) => placement_lease_ms));
}

/** Removes those that were last heard of before then. */
export async function removeSilent(db: Db, before: Date): Promise<void> {
  await processes(db).deleteMany({ seen_at: { $lt: before } }, within());
}

export async function remove(db: Db, id: string): Promise<void> {
  await processes(db).deleteOne({ _id: id }, within());
}
