// What operations say of an organization when they have ended, for as long as they are kept.
import type { Db, ObjectId } from "mongodb";
import { within } from "../lib/mongo/mongo.ts";
import { entriesOfFlows, type Flows, type Operation, type OperationKind } from "./operation.ts";
import { operations } from "./store.ts";

/** Whether an operation is recorded that shows that an organization, whose record isn't there, is gone for good. */
export async function hasEnded(db: Db, flows: Flows, organizationId: ObjectId): Promise<boolean> {
  const endings = entriesOfFlows(flows).flatMap(([kind, { endsOrganization: status }]) =>
    status ? [{ kind, status }] : [],
  );
  const found = await operations(db).findOne({ organization_id: organizationId, $or: endings }, within());
  return found !== null;
}

/** The newest operation of a kind that an organization has, or had. */
export const findLatest = (db: Db, organizationId: ObjectId, kind: OperationKind): Promise<Operation | null> =>
  operations(db).findOne({ organization_id: organizationId, kind }, { sort: { _id: -1 }, ...within() });
const forgottenAtOnceMax = 500;

/**
 * Forgets what the ended operations of an organization say of it. Kind, steps, times and how they ended stay, which shows that
 * it is gone for good, and the admin's id: a failed create is undone by it once more when its admin arrives late.
 *
 * @yields those that were done, some at a time; it may be done again
 */
export async function* forgetEnded(
  db: Db,
  organizationId: ObjectId,
): AsyncGenerator<Pick<Operation, "_id" | "kind">[]> {
  const adminId = { $cond: [{ $ifNull: ["$input.admin_id", false] }, { admin_id: "$input.admin_id" }, {}] };
  const kept = { input: adminId, progress: { $literal: {} }, error: null };
  const options = {
    projection: { kind: 1 },
    sort: { _id: 1 },
    limit: forgottenAtOnceMax,
  } as const;
  for (let after: ObjectId | null = null; ;) {
    const page = { organization_id: organizationId, open: { $exists: false }, ...(after && { _id: { $gt: after } }) };
    const found: Pick<Operation, "_id" | "kind">[] = await operations(db)
      .find(page, { ...options, ...within() })
      .toArray();
    const change = [{ $set: kept }, { $unset: ["secret", "origin", "failure"] }];
    if (found.length > 0)
      await operations(db).updateMany({ _id: { $in: found.map(({ _id }) => _id) } }, change, within());
    yield found;
    if (found.length < forgottenAtOnceMax) return;
    after = found.at(-1)!._id;
  }
}

/** The operation that made, or failed to make, an organization. */
export const findProvision = (db: Db, organizationId: ObjectId): Promise<Operation | null> =>
  operations(db).findOne({ organization_id: organizationId, kind: "provision" }, within());
