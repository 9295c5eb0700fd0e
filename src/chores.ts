import { ObjectId } from "mongodb";
import { type DriveDeps, enqueue } from "./operation/drive.ts";
import * as organizationStore from "./organization/store.ts";
import { findDue } from "./tenant/retired.ts";

const atOnceMax = 20;

/**
 * What a worker does between operations: it starts those that nobody asked for. Any process may, several at once too: an
 * organization that has another one open is left for the next time.
 */
export async function doChores(deps: DriveDeps): Promise<void> {
  const start = (organization_id: ObjectId, kind: string, input: object) =>
    enqueue(deps, { _id: new ObjectId(), organization_id, kind, input });
  for (const { _id, organization_id } of await findDue(deps.db, deps.now(), atOnceMax)) {
    await start(organization_id, "sweep", { retired_id: _id });
  }
  for (const organization_id of await organizationStore.findUnstamped(deps.db, atOnceMax)) {
    await start(organization_id, "stamp", {});
  }
}
