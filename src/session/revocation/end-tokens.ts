import type { ObjectId } from "mongodb";
import * as adminStore from "../../admin/store.ts";
import type { Deps } from "../../deps.ts";
import * as sessionStore from "../session-store.ts";

/**
 * Ends every token and every session of an organization's admins: here when this returns, in every other process within
 * half a second, which is how long one remembers an admin. Whoever signs in after it has tokens that hold.
 */
export async function endTokensOfOrganization(
  { db, lookUp }: Pick<Deps, "db" | "lookUp">,
  organizationId: ObjectId,
): Promise<void> {
  const admins = await adminStore.endTokensOf(db, organizationId);
  for (const admin of admins) lookUp.forgetAdmin(admin._id);
  for (const admin of admins) await sessionStore.removeOutdated(db, admin);
}
