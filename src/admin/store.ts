import type { Collection, Db, ObjectId } from "mongodb";
import { literal } from "../lib/mongo/literal.ts";
import { isDuplicateKey, isUnavailable, retryDeadlock, buildIndexes, within } from "../lib/mongo/mongo.ts";
import { type AdminDocument, emailKey, emailKeys } from "./admin.ts";

/** `admin_users` as the first Croupier named it. */
export const admins = (db: Db): Collection<AdminDocument> => db.collection("admin_users");

const emailIndex = "email_1";
const emailKeysIndex = "email_keys_1";

export const createAdminIndexes = (db: Db): Promise<void> =>
  buildIndexes(admins(db), [
    { key: { email: 1 }, name: emailIndex, unique: true },
    { key: { email_keys: 1 }, name: emailKeysIndex, unique: true, sparse: true },
    { key: { email: 1, organization_id: 1 } },
    { key: { organization_id: 1 } },
    { key: { "recovery.hash": 1 }, unique: true, sparse: true },
    // Those of the first Croupier that aren't taken over: none, as a rule.
    { key: { created_at: 1, _id: 1 }, partialFilterExpression: { email_keys: null } },
  ]);

export const findById = (db: Db, id: ObjectId): Promise<AdminDocument | null> =>
  admins(db).findOne({ _id: id }, within());

export const findByIds = (db: Db, ids: readonly ObjectId[]): Promise<AdminDocument[]> =>
  admins(db)
    .find({ _id: { $in: [...ids] } }, within())
    .toArray();

/**
 * Finds the admin that an email means. Two of the first Croupier's may be spelled in different ways only; then the one spelled
 * just so is meant, then as an earlier version compared it, else the one that holds the key of both.
 */
export async function findByEmail(db: Db, email: string): Promise<AdminDocument | null> {
  const [key, ...others] = emailKeys(email);
  const keys = [...new Set([email, email.normalize("NFC"), ...others, key])];
  const found = await admins(db)
    .find({ email_keys: { $in: keys } }, within())
    .limit(keys.length)
    .toArray();
  const holders = keys.map((key) => found.find(({ email_keys }) => email_keys.includes(key)));
  return holders.find((holder) => holder !== undefined) ?? null;
}

/** The admin of an organization, the first one of several. */
export const findByOrganization = (db: Db, organizationId: ObjectId): Promise<AdminDocument | null> =>
  admins(db).findOne({ organization_id: organizationId.toHexString() }, { sort: { _id: 1 }, ...within() });

export type Written = "written" | "email_taken" | "missing";

async function decided(write: () => Promise<boolean>): Promise<Written> {
  try {
    return (await retryDeadlock(write)) ? "written" : "missing";
  } catch (error) {
    if (isDuplicateKey(error, emailKeysIndex) || isDuplicateKey(error, emailIndex)) return "email_taken";
    throw error;
  }
}

/** Inserts an admin under the `_id` chosen before; when that is there already, it was this insert's first try. */
export const insert = (db: Db, admin: AdminDocument): Promise<Written> =>
  decided(async () => {
    try {
      await admins(db).insertOne(admin, within());
    } catch (error) {
      if (isUnavailable(error) || !(await findById(db, admin._id))) throw error;
    }
    return true;
  });

/** An admin as one driver of an operation may write it: no later driver has entered. */
export type Guarded = { id: ObjectId; guard: number };

/** Lets only the driver with this guard, or a later one, write the organization's admins. */
export async function raiseGuards(db: Db, organizationId: ObjectId, guard: number): Promise<void> {
  const filter = { organization_id: organizationId.toHexString() };
  await admins(db).updateMany(filter, { $max: { guard } }, within());
}

/** Claims a further email for an admin; the one in use stays. */
export const reserveEmail = (db: Db, { id, guard }: Guarded, email: string): Promise<Written> =>
  decided(async () => {
    const claimed = { $addToSet: { email_keys: { $each: emailKeys(email) } } };
    const { matchedCount } = await admins(db).updateOne({ _id: id, guard }, claimed, within());
    return matchedCount === 1;
  });

/** Gives a claimed email back, unless it is the one in use, perhaps spelled in another way. */
export async function releaseEmail(db: Db, { id, guard }: Guarded, email: string): Promise<void> {
  const admin = await findById(db, id);
  if (!admin || emailKey(admin.email) === emailKey(email)) return;
  await admins(db).updateOne({ _id: id, guard }, { $pullAll: { email_keys: emailKeys(email) } }, within());
}

export type AdminChanges = { email?: string; email_keys?: string[]; password?: string; updated_at: Date };

/** A new email makes an offered recovery void. */
export async function writeChanges(db: Db, { id, guard }: Guarded, changes: AdminChanges): Promise<void> {
  const change = { $set: changes, ...(changes.email !== undefined && { $unset: { recovery: "" } as const }) };
  await admins(db).updateOne({ _id: id, guard }, change, within());
}

/** The token that asks for a new password, and its session; of the tokens' generation `gen`. */
export type Keeping = { kept: string | null; keptSession: string | null; gen: number; by: ObjectId };

export const generation = { $ifNull: ["$tokens.generation", 0] };

/**
 * Writes a new password and ends the tokens of before it, all but one, at once: no moment and no crash is in between. An
 * operation does this once, however often it tries, or it would end those of whoever has signed in since. A token that was
 * ended while the operation was under way stays ended. An offered recovery is void with it; one that was used meanwhile stays,
 * and of the changes only the others are written.
 */
export async function writePassword(
  db: Db,
  { id, guard }: Guarded,
  changes: AdminChanges & { password: string },
  { kept, keptSession, gen, by }: Keeping,
): Promise<void> {
  const holds = { $or: [{ $lte: [generation, gen] }, { $eq: ["$tokens.kept", literal(kept)] }] };
  const set = {
    ...Object.fromEntries(Object.entries(changes).map(([name, value]) => [name, literal(value)])),
    "tokens.kept": { $cond: [holds, literal(kept), null] },
    "tokens.kept_session": { $cond: [holds, literal(keptSession), null] },
    "tokens.by": by,
    "tokens.generation": { $add: [generation, 1] },
  };
  const filter = { _id: id, guard, "tokens.by": { $ne: by }, "tokens.recovered": { $not: { $gt: gen } } };
  const change = [{ $set: set }, { $unset: "recovery" }];
  const { matchedCount } = await retryDeadlock(() => admins(db).updateOne(filter, change, within()));
  const { password: _, ...others } = changes;
  if (matchedCount === 0) await writeChanges(db, { id, guard }, others);
}

const allEnded = { $set: { "tokens.kept": null, "tokens.kept_session": null }, $inc: { "tokens.generation": 1 } };

/** Ends all tokens that an admin has. */
export async function endTokens(db: Db, id: ObjectId): Promise<void> {
  await retryDeadlock(() => admins(db).updateOne({ _id: id }, allEnded, within()));
}

/** Ends all tokens that any admin of an organization has. @returns these admins, as they are after it */
export async function endTokensOf(db: Db, organizationId: ObjectId): Promise<AdminDocument[]> {
  const whose = { organization_id: organizationId.toHexString() };
  await retryDeadlock(() => admins(db).updateMany(whose, allEnded, within()));
  return await admins(db).find(whose, within()).toArray();
}

/** The name is kept beside each admin as the first Croupier did; nothing is decided by it. */
export async function writeOrganizationName(db: Db, organization: Guarded, name: string): Promise<void> {
  const filter = { organization_id: organization.id.toHexString(), guard: organization.guard };
  await admins(db).updateMany(filter, { $set: { organization_name: name } }, within());
}

/** Replaces a hash by a stronger one of the same password, unless the password was changed meanwhile. */
export async function renewPassword(db: Db, id: ObjectId, from: string, to: string): Promise<void> {
  await admins(db).updateOne({ _id: id, password: from }, { $set: { password: to } }, within());
}

export async function removeAll(db: Db, organizationId: ObjectId): Promise<void> {
  await admins(db).deleteMany({ organization_id: organizationId.toHexString() }, within());
}
