import type { Collection, Db } from "mongodb";
import { retryDeadlock, within } from "../lib/mongo.ts";

/** A token that was ended before its time. */
export type Revocation = {
  /** The token's `jti`. */
  _id: string;
  kind: "token";
  admin_id: string;
  organization_id: string;
  /** By the database's clock. */
  revoked_at: Date;
  /** When the token would have ended by itself: then MongoDB removes this. */
  expires_at: Date;
};

export const revocations = (db: Db): Collection<Revocation> => db.collection("revocations");

export async function createRevocationIndexes(db: Db): Promise<void> {
  await revocations(db).createIndex({ expires_at: 1 }, { expireAfterSeconds: 0, ...within() });
  await revocations(db).createIndex({ revoked_at: 1 }, within());
}

/** How long the database works at a write at the most: what is stamped but not seen after that will never be. */
const writeMsMax = 2_000;
/**
 * How far a reader looks back behind the newest stamp that it has seen. A write is stamped when it starts and seen when it
 * is done, so a later one may be seen before it; the rest is for the clocks of two primaries, which may differ.
 */
const overlapMs = 10_000;

/** Writes one; it may be written again. */
export async function write(db: Db, { _id, ...rest }: Omit<Revocation, "kind" | "revoked_at">): Promise<void> {
  const set = { $set: { ...rest, kind: "token", revoked_at: "$$NOW" } };
  await retryDeadlock(() =>
    revocations(db).updateOne({ _id }, [set], { upsert: true, maxTimeMS: writeMsMax, ...within() }),
  );
}

type Read = Pick<Revocation, "_id" | "revoked_at" | "expires_at">;

/**
 * Reads what may be new since the newest that is known, and what was read before again; all when none is.
 *
 * @param newest the latest `revoked_at` that was read
 */
export const readSince = (db: Db, newest: Date | null): Promise<Read[]> =>
  revocations(db)
    .find(newest ? { revoked_at: { $gte: new Date(newest.getTime() - overlapMs) } } : {}, {
      projection: { revoked_at: 1, expires_at: 1 },
      // In the order of the stamps, so that what is written while this reads comes at its end or is within the overlap.
      sort: { revoked_at: 1 },
      batchSize: 5_000,
      ...within(newest ? 2_000 : 60_000),
    })
    .toArray();
