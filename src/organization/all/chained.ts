import { type Db, type Filter, ObjectId } from "mongodb";
import type { Chained } from "../../audit/verify.ts";
import { within } from "../../lib/mongo/mongo.ts";
import { findProvision } from "../../operation/ended.ts";
import { established, type OrganizationDocument } from "../organization.ts";
import { findById, organizations } from "../store.ts";

/**
 * Organizations that this version made. Those of the first Croupier have `connection_details`, or no known place; of them
 * there are no entries before their first act here.
 */
const made: Filter<OrganizationDocument> = {
  status: { $in: [...established] },
  connection_details: { $exists: false },
  placement: { $ne: null },
};
const batchSize = 500;

/** Which organizations must have entries in the record: that of their creation, at least. */
export const chainedOrganizations = (db: Db): Chained => ({
  async mustHave(id) {
    const _id = new ObjectId(id);
    if (!(await findById(db, _id))) return null;
    // It is active a moment before that is recorded; the operation is open until it is.
    const isBeingMade = (await findProvision(db, _id))?.open ?? false;
    return !isBeingMade && (await organizations(db).findOne({ ...made, _id }, within())) !== null;
  },
  async *all() {
    for (let after: ObjectId | null = null; ;) {
      const filter = { ...made, ...(after && { _id: { $gt: after } }) };
      const options = { projection: { _id: 1 }, sort: { _id: 1 }, limit: batchSize, ...within(60_000) } as const;
      const found: { _id: ObjectId }[] = await organizations(db).find(filter, options).toArray();
      yield found.map(({ _id }) => _id.toHexString());
      if (found.length < batchSize) return;
      after = found.at(-1)!._id;
    }
  },
});
