import { ObjectId } from "mongodb";
import { type DriveDeps, enqueue } from "./operation/drive.ts";
import * as organizationStore from "./organization/store.ts";
import { placeKey } from "./tenant/placement.ts";
import { findDue, forgetRetired, sweepPlace } from "./tenant/retired.ts";

const atOnceMax = 20;

/** What a worker does between operations; any process may, and several at once. */
export async function doChores(deps: DriveDeps): Promise<void> {
  await sweepRetired(deps);
  await startStamping(deps);
}

/** Looks once more at places that tenants have left, and lets others have their names. */
async function sweepRetired({ db, log, now }: DriveDeps): Promise<void> {
  for (const { _id, organization_id, placement } of await findDue(db, now(), atOnceMax)) {
    const organization = await organizationStore.findById(db, organization_id);
    const key = placeKey(placement);
    // It may have come back since, or be about to.
    const isHeld = organization?.placement && placeKey(organization.placement) === key;
    if (!isHeld && !organization?.move) {
      if (!(await sweepPlace(db, placement))) {
        log.warn(
          { organization_id: organization_id.toHexString(), place: key },
          "others' documents at a place that was left",
        );
      }
      await organizationStore.givePlaceUp(db, organization_id, key);
    }
    if (!organization?.move) await forgetRetired(db, _id);
  }
}

/** Has the documents of the first Croupier marked with their tenant, of some organizations at a time. */
async function startStamping(deps: DriveDeps): Promise<void> {
  for (const organization_id of await organizationStore.findUnstamped(deps.db, atOnceMax)) {
    await enqueue(deps, { _id: new ObjectId(), organization_id, kind: "stamp", input: {} });
  }
}
