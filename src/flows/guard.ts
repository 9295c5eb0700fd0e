import * as adminStore from "../admin/store.ts";
import type { Operation, StepDeps } from "../operation/operation.ts";
import * as guarded from "../organization/guarded.ts";

/** An operation's organization, as its present driver may write it. */
export const organizationOf = ({ organization_id, lease }: Operation): guarded.Guarded => ({
  id: organization_id,
  guard: lease.guard ?? 0,
});

/** From here on a driver that was overtaken writes neither the organization nor its admins. */
export async function enter({ db }: StepDeps, { organization_id }: Operation): Promise<number> {
  const guard = await guarded.raiseGuard(db, organization_id);
  await adminStore.raiseGuards(db, organization_id, guard);
  return guard;
}
