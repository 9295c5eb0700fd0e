import type { Db, ObjectId } from "mongodb";
import { within } from "../lib/mongo/mongo.ts";
import { type Operation, type OperationKind, operationStatuses } from "./operation.ts";
import { operations } from "./store.ts";

export type OperationQuery = {
  organization_id?: ObjectId;
  kind?: OperationKind;
  status?: Operation["status"];
  /** The id of the last one of the page before. */
  after?: ObjectId;
  limit: number;
};

/** Operations, the newest first. */
export const list = (db: Db, { after, limit, ...only }: OperationQuery): Promise<Operation[]> => {
  // An index by kind goes on with the status: each has its own newest, which the database brings together.
  const any = only.kind !== undefined && { status: { $in: [...operationStatuses] } };
  return operations(db)
    .find({ ...any, ...only, ...(after && { _id: { $lt: after } }) }, { sort: { _id: -1 }, limit, ...within() })
    .toArray();
};
