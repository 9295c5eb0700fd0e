import type { Collection, Db, ObjectId } from "mongodb";
import { isDuplicateKey, retryDeadlock, within } from "../lib/mongo.ts";
import { type AdminDocument, emailKey } from "./admin.ts";

/** `admin_users` as the first Croupier named it. */
export const admins = (db: Db): Collection<AdminDocument> => db.collection("admin_users");

const emailIndex = "email_1";
const emailKeysIndex = "email_keys_1";

export async function createAdminIndexes(db: Db): Promise<void> {
  await admins(db).createIndex({ email: 1 }, { name: emailIndex, unique: true, ...within() });
  await admins(db).createIndex({ email_keys: 1 }, { name: emailKeysIndex, unique: true, sparse: true, ...within() });
  await admins(db).createIndex({ email: 1, organization_id: 1 }, within());
  await admins(db).createIndex({ organization_id: 1 }, within());
}

export const findById = (db: Db, id: ObjectId): Promise<AdminDocument | null> =>
  admins(db).findOne({ _id: id }, within());

/**
 * Finds the admin that an email means. Two of the first Croupier's may differ in case only; then the one spelled just so
 * is meant, else the one that holds the lower-case key.
 */
export async function findByEmail(db: Db, email: string): Promise<AdminDocument | null> {
  const spelled = email.normalize("NFC");
  const found = await admins(db)
    .find({ email_keys: { $in: [spelled, emailKey(email)] } }, within())
    .limit(2)
    .toArray();
  return found.find((admin) => admin.email === spelled) ?? found[0] ?? null;
}

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
      if (!(await findById(db, admin._id))) throw error;
    }
    return true;
  });

/** Claims a further email for an admin; the one in use stays. */
export const reserveEmail = (db: Db, id: ObjectId, email: string): Promise<Written> =>
  decided(async () => {
    const { matchedCount } = await admins(db).updateOne(
      { _id: id },
      { $addToSet: { email_keys: emailKey(email) } },
      within(),
    );
    return matchedCount === 1;
  });

/** Gives a claimed email back, unless it is the one in use, perhaps spelled in other case. */
export async function releaseEmail(db: Db, id: ObjectId, email: string): Promise<void> {
  const admin = await findById(db, id);
  if (!admin || emailKey(admin.email) === emailKey(email)) return;
  await admins(db).updateOne({ _id: id, email: admin.email }, { $pull: { email_keys: emailKey(email) } }, within());
}

export type AdminChanges = { email?: string; email_keys?: string[]; password?: string; updated_at: Date };

export async function writeChanges(db: Db, id: ObjectId, changes: AdminChanges): Promise<void> {
  await admins(db).updateOne({ _id: id }, { $set: changes }, within());
}

/** The name is kept beside each admin as the first Croupier did; nothing is decided by it. */
export async function writeOrganizationName(db: Db, organizationId: ObjectId, name: string): Promise<void> {
  await admins(db).updateMany(
    { organization_id: organizationId.toHexString() },
    { $set: { organization_name: name } },
    within(),
  );
}

/** Replaces a hash by a stronger one of the same password, unless the password was changed meanwhile. */
export async function renewPassword(db: Db, id: ObjectId, from: string, to: string): Promise<void> {
  await admins(db).updateOne({ _id: id, password: from }, { $set: { password: to } }, within());
}

export async function remove(db: Db, id: ObjectId): Promise<void> {
  await admins(db).deleteOne({ _id: id }, within());
}

export async function removeAll(db: Db, organizationId: ObjectId): Promise<void> {
  await admins(db).deleteMany({ organization_id: organizationId.toHexString() }, within());
}
