import * as adminStore from "../admin/store.ts";
import type { Deps } from "../deps.ts";
import type { Actor } from "./session.ts";

/** Ends the token that the request came with. */
export const signOut = ({ revocations }: Pick<Deps, "revocations">, { claims }: Actor): Promise<void> =>
  revocations.end(claims);

/** Ends every token of the admin, this one too; a sign-in after it gives one that holds. */
export async function signOutEverywhere(
  { db, lookUp }: Pick<Deps, "db" | "lookUp">,
  { adminId }: Actor,
): Promise<void> {
  await adminStore.endTokens(db, adminId);
  lookUp.forgetAdmin(adminId);
}
