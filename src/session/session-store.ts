import type { Collection, Db, ObjectId } from "mongodb";
import type { AdminDocument } from "../admin/admin.ts";
import type { Expiring } from "../lib/mongo/expiry.ts";
import { retryDeadlock, buildIndexes, within } from "../lib/mongo/mongo.ts";
import type { SessionDocument } from "./session.ts";

const sessions = (db: Db): Collection<SessionDocument> => db.collection("sessions");

export const sessionsExpire: Expiring = { of: sessions, field: "expires_at", afterSeconds: 0 };

export const createSessionIndexes = (db: Db): Promise<void> =>
  buildIndexes(sessions(db), [
    { key: { family_hash: 1 }, unique: true },
    { key: { admin_id: 1, last_used_at: -1 } },
    { key: { organization_id: 1 } },
    { key: { ended_at: 1 }, sparse: true },
  ]);

const notEnded = { ended_at: { $exists: false } };

export async function insert(db: Db, session: SessionDocument): Promise<void> {
  await retryDeadlock(() => sessions(db).insertOne(session, within()));
}

export const findByFamily = (db: Db, family: string): Promise<SessionDocument | null> =>
  sessions(db).findOne({ family_hash: family, ...notEnded }, within());

export type Renewal = Pick<
  SessionDocument,
  "token_hash" | "gen" | "last_used_at" | "address" | "user_agent" | "refresh_until" | "expires_at" | "access_until"
>;

/**
 * Puts one refresh token in the place of another: of several who come with the same one, one succeeds.
 *
 * @param from the hash of the token that is used up by this
 */
export async function renew(db: Db, id: string, from: string, renewal: Renewal): Promise<boolean> {
  const { access_until, expires_at, ...set } = renewal;
  // An access token of before may end later than this one: the settings, and clocks, may differ.
  const change = { $set: set, $max: { access_until, expires_at } };
  const write = () => sessions(db).updateOne({ _id: id, token_hash: from, ...notEnded }, change, within());
  return (await retryDeadlock(write)).matchedCount === 1;
}

/** Those that could go on, the latest used first. */
export const listByAdmin = (db: Db, adminId: ObjectId, now: Date, limit: number): Promise<SessionDocument[]> =>
  sessions(db)
    .find({ admin_id: adminId, expires_at: { $gt: now }, ...notEnded }, within())
    .sort({ last_used_at: -1 })
    .limit(limit)
    .toArray();

/** Some of those that an admin has beyond a number, the latest used left out. */
export const findBeyond = (db: Db, adminId: ObjectId, number: number, limit: number): Promise<SessionDocument[]> =>
  sessions(db)
    .find({ admin_id: adminId, ...notEnded }, within())
    .sort({ last_used_at: -1 })
    .skip(number)
    .limit(limit)
    .toArray();

/**
 * Notes that a session is ended: from here on it is renewed by nobody. What follows from it can be done again by whoever
 * finds the note.
 *
 * @param of only if it is this admin's
 * @returns null when there is no such session
 */
export const end = (db: Db, id: string, at: Date, of?: ObjectId): Promise<SessionDocument | null> =>
  retryDeadlock(() =>
    sessions(db).findOneAndUpdate(
      { _id: id, ...(of && { admin_id: of }) },
      { $min: { ended_at: at } },
      { returnDocument: "after", ...within() },
    ),
  );

/** Those that were ended by a process that died before it was through with it. */
export const findEnded = (db: Db, before: Date, limit: number): Promise<SessionDocument[]> =>
  sessions(db)
    .find({ ended_at: { $lt: before } }, { limit, ...within() })
    .toArray();

export async function remove(db: Db, id: string): Promise<void> {
  await sessions(db).deleteOne({ _id: id }, within());
}

/** Removes those that a new password or logout-all has ended (`sessionHolds`). */
export async function removeOutdated(db: Db, { _id, tokens }: AdminDocument): Promise<void> {
  const kept = tokens?.kept_session;
  const filter = { admin_id: _id, gen: { $lt: tokens?.generation ?? 0 }, ...(kept && { _id: { $ne: kept } }) };
  await sessions(db).deleteMany(filter, within());
}

export async function removeByOrganization(db: Db, organizationId: ObjectId): Promise<void> {
  await sessions(db).deleteMany({ organization_id: organizationId }, within());
}
