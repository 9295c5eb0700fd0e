import type { Db, ObjectId } from "mongodb";
import type { Expiring } from "../lib/mongo/expiry.ts";
import { literal } from "../lib/mongo/literal.ts";
import { retryDeadlock, within } from "../lib/mongo/mongo.ts";
import type { AdminDocument } from "./admin.ts";
import { admins, generation } from "./store.ts";

/** Of an admin only this ends by itself. */
export const recoveriesExpire: Expiring = {
  of: admins,
  field: "recovery.expires_at",
  afterSeconds: 0,
  part: "recovery",
};

/**
 * Lets whoever has the token of this hash set a new password, for so many milliseconds by the database's clock. One that was
 * offered before holds no more.
 *
 * @returns until when; null when there is no such admin
 */
export async function offer(db: Db, id: ObjectId, hash: string, lifeMs: number): Promise<Date | null> {
  const recovery = { hash: literal(hash), expires_at: { $add: ["$$NOW", lifeMs] } };
  const write = () =>
    admins(db).findOneAndUpdate({ _id: id }, [{ $set: { recovery } }], { returnDocument: "after", ...within() });
  return (await retryDeadlock(write))?.recovery?.expires_at ?? null;
}

/** Makes what was offered to any admin of an organization void. */
export async function withdrawOf(db: Db, organizationId: ObjectId): Promise<void> {
  const whose = { organization_id: organizationId.toHexString() };
  await retryDeadlock(() => admins(db).updateMany(whose, { $unset: { recovery: "" } }, within()));
}

// FerretDB knows `$$NOW` in what is read and in an update, not in a filter.
const holds = { $gt: ["$recovery.expires_at", "$$NOW"] };

/** Whose token it is; null when it was used, replaced or has run out. */
export async function findByRecovery(
  db: Db,
  hash: string,
): Promise<Pick<AdminDocument, "_id" | "organization_id"> | null> {
  const found = await admins(db).findOne<Pick<AdminDocument, "_id" | "organization_id"> & { holds: boolean }>(
    { "recovery.hash": hash },
    { projection: { organization_id: 1, holds }, ...within() },
  );
  return found?.holds ? found : null;
}

/**
 * Uses a token up, writes the new password and ends all tokens of before it, at once: no moment and no crash is in between,
 * and of several who come with one token one succeeds.
 *
 * @param password a hash that nobody else has made
 * @returns the admin as it is after it; null when the token holds no more
 */
export async function recover(db: Db, hash: string, password: string): Promise<AdminDocument | null> {
  const next = { $add: [generation, 1] };
  const ended = { kept: null, kept_session: null, generation: next, recovered: next };
  const set = {
    password: { $cond: [holds, literal(password), "$password"] },
    tokens: { $cond: [holds, { $mergeObjects: ["$tokens", ended] }, "$tokens"] },
  };
  const write = () =>
    admins(db).findOneAndUpdate({ "recovery.hash": hash }, [{ $set: set }, { $unset: "recovery" }], {
      returnDocument: "after",
      ...within(),
    });
  const after = await retryDeadlock(write);
  return after?.password === password ? after : null;
}
