import type { Db } from "mongodb";
import { isOfBefore } from "./founding-store.ts";

/**
 * Whether who changes the sign-in has to know the password. Where it isn't set: unless the database is one that an earlier
 * version has used, whose clients send none.
 */
export function createAsksPassword(db: Db, setting: boolean | null): () => Promise<boolean> {
  let known = setting;
  return async () => {
    if (known !== null) return known;
    const isOld = await isOfBefore(db);
    if (isOld !== null) known = !isOld;
    return known ?? true;
  };
}
