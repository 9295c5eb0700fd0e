import type { Db } from "mongodb";
import { majority, within } from "../lib/mongo.ts";
import type { Placement } from "./placement.ts";
import { collectionAt } from "./scope.ts";
import { ofTenant } from "./stored.ts";

/** How many documents a tenant has at a placement. @param timeoutMs how long it may take, in milliseconds */
export const countDocuments = (db: Db, placement: Placement, timeoutMs = 60_000): Promise<number> =>
  collectionAt(db, placement).countDocuments(ofTenant(placement), { ...majority, ...within(timeoutMs) });
