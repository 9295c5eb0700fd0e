import type { Collection, Db } from "mongodb";
import type { Expiring } from "../../lib/mongo/expiry.ts";
import { retryDeadlock, buildIndexes, within } from "../../lib/mongo/mongo.ts";

/** A token, or all of a session, ended before its time. */
export type Revocation = {
  /** The token's `jti` or the session's `sid`. */
  _id: string;
  kind: "token" | "session";
  admin_id: string;
  organization_id: string;
  /** By the database's clock. */
  revoked_at: Date;
  /** When the last that it is about would have ended by itself: then this is removed. */
  expires_at: Date;
};

export const revocations = (db: Db): Collection<Revocation> => db.collection("revocations");

export const revocationsExpire: Expiring = { of: revocations, field: "expires_at", afterSeconds: 0 };

export async function createRevocationIndexes(db: Db): Promise<void> {
  await buildIndexes(revocations(db), [{ key: { revoked_at: 1 } }]);
}

/** How long the database works at a write at the most: what is stamped but not seen after that will never be. */
const writeMsMax = 2_000;
/** How long a reader waits for the next of what it has asked for. */
const silenceMsMax = 2_000;
/**
 * How far a reader looks back behind the newest stamp that it has seen. A write is stamped when it starts and seen when it
 * is done, so a later one may be seen before it; the rest is for the clocks of two primaries, which may differ.
 */
const overlapMs = 10_000;

/** Writes one; it may be written again. */
export async function write(db: Db, { _id, ...rest }: Omit<Revocation, "revoked_at">): Promise<void> {
  const set = { $set: { ...rest, revoked_at: "$$NOW" } };
  await retryDeadlock(() =>
    revocations(db).updateOne({ _id }, [set], { upsert: true, maxTimeMS: writeMsMax, ...within() }),
  );
}

type Read = Pick<Revocation, "_id" | "revoked_at" | "expires_at">;

/**
 * Reads what may be new since the newest that is known, and what was read before again; all when none is.
 *
 * @param newest the latest `revoked_at` that was read
 * @param seenMs for how long it had been known when the last look was asked for: so much of the overlap that look has covered,
 * and many that were ended at once are not read again and again until something else is ended
 * @returns one after the other: at a start there may be 100,000
 * @throws Error also when nothing comes for too long: the driver may wait for a connection that is gone for ever
 */
export async function* readSince(db: Db, newest: Date | null, seenMs = 0): AsyncGenerator<Read> {
  const waiting = new AbortController();
  const timer = setTimeout(() => waiting.abort(new DOMException("nothing came", "TimeoutError")), silenceMsMax);
  const from = newest && new Date(newest.getTime() - Math.max(0, overlapMs - seenMs));
  const cursor = revocations(db).find(from ? { revoked_at: { $gte: from } } : {}, {
    projection: { revoked_at: 1, expires_at: 1 },
    // In the order of the stamps, so that what is written while this reads comes at its end or is within the overlap.
    sort: { revoked_at: 1 },
    batchSize: 5_000,
    signal: waiting.signal,
  });
  try {
    for await (const one of cursor) {
      timer.refresh();
      yield one;
    }
  } finally {
    clearTimeout(timer);
  }
}
