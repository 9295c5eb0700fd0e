import type { Collection, Db, Filter, ObjectId } from "mongodb";
import type { AdminDocument } from "../admin/admin.ts";
import type { Expiring } from "../lib/mongo/expiry.ts";
import { literal } from "../lib/mongo/literal.ts";
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

/** @param of only if it is this admin's */
export const findById = (db: Db, id: string, of: ObjectId): Promise<SessionDocument | null> =>
  sessions(db).findOne({ _id: id, admin_id: of, ...notEnded }, within());

export type Renewal = Pick<
  SessionDocument,
  "token_hash" | "gen" | "last_used_at" | "address" | "user_agent" | "refresh_until" | "expires_at" | "access_until"
>;

/** More aren't remembered: whoever renews that often is no person with tabs. */
const usedUpMax = 50;

/** The refresh tokens that were used up within the leeway, by the database's clock. */
const justUsed = (leewayMs: number) => ({
  $filter: {
    input: { $ifNull: ["$used_up", []] },
    as: "one",
    cond: { $gt: ["$$one.at", { $subtract: ["$$NOW", leewayMs] }] },
  },
});
const isJustUsed = (token: string, leewayMs: number) => ({
  $in: [literal(token), { $map: { input: justUsed(leewayMs), as: "one", in: "$$one.hash" } }],
});

/**
 * Puts one refresh token in the place of another: of several who come with the same one, one succeeds.
 *
 * @param from the hash of the token that is used up by this
 * @param leewayMs for so long it is remembered that it was
 */
export async function renew(db: Db, id: string, from: string, renewal: Renewal, leewayMs: number): Promise<boolean> {
  const { access_until, expires_at, ...set } = renewal;
  const usedUp = { $concatArrays: [justUsed(leewayMs), [{ hash: literal(from), at: "$$NOW" }]] };
  const change = {
    ...Object.fromEntries(Object.entries(set).map(([name, value]) => [name, literal(value)])),
    // An access token of before may end later than this one: the settings, and clocks, may differ.
    access_until: { $max: ["$access_until", access_until] },
    expires_at: { $max: ["$expires_at", expires_at] },
    used_up: { $slice: [usedUp, -usedUpMax] },
  };
  const write = () => sessions(db).updateOne({ _id: id, token_hash: from, ...notEnded }, [{ $set: change }], within());
  return (await retryDeadlock(write)).matchedCount === 1;
}

/**
 * Whether a refresh token of a session was used up within the leeway. Once it wasn't, it never is again: who is to end the
 * session for that may do it later. (FerretDB knows `$$NOW` in what is read and in an update, not in a filter.)
 */
export async function wasJustUsed(db: Db, id: string, token: string, leewayMs: number): Promise<boolean> {
  const projection = { is_just_used: isJustUsed(token, leewayMs) };
  const session = { _id: id, ...notEnded };
  const found = await sessions(db).findOne<{ is_just_used: boolean }>(session, { projection, ...within() });
  return found?.is_just_used ?? false;
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
 * @param only if it is as this says
 * @returns null when there is no such session
 */
export const end = (
  db: Db,
  id: string,
  at: Date,
  only: Filter<SessionDocument> = {},
): Promise<SessionDocument | null> =>
  retryDeadlock(() =>
    sessions(db).findOneAndUpdate(
      { ...only, _id: id },
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
