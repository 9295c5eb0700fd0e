import { ObjectId } from "mongodb";
import { sweepRetired } from "./flows/sweep.ts";
import { type DriveDeps, enqueue } from "./operation/drive.ts";
import * as organizationStore from "./organization/store.ts";
import { findDue } from "./tenant/retired.ts";

const atOnceMax = 20;

/** What a worker does between operations; any process may, and several at once. */
export async function doChores(deps: DriveDeps): Promise<void> {
  for (const due of await findDue(deps.db, deps.now(), atOnceMax)) await sweepRetired(deps, due);
  await startStamping(deps);
}

/** Has the documents of the first Croupier marked with their tenant, of some organizations at a time. */
async function startStamping(deps: DriveDeps): Promise<void> {
  for (const organization_id of await organizationStore.findUnstamped(deps.db, atOnceMax)) {
    await enqueue(deps, { _id: new ObjectId(), organization_id, kind: "stamp", input: {} });
  }
}
