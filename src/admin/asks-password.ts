import type { Db } from "mongodb";
import { isOfBefore } from "./founding-store.ts";

/**
 * Whether who changes the sign-in has to know the password. Where it isn't set: unless the database is one that an earlier
 * version has used, whose clients send none.
 */
export function createAsksPassword(db: Db, setting: boolean | null): () => Promise<boolean> {
  // Not that it is a new one: records of an earlier version may be restored into it.
  let isKnownOld = false;
  return async () => {
    if (setting !== null) return setting;
    isKnownOld ||= (await isOfBefore(db)) === true;
    return !isKnownOld;
  };
}
