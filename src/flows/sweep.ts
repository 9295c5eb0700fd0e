import type { DriveDeps } from "../operation/drive.ts";
import * as organizationStore from "../organization/store.ts";
import { placeKey } from "../tenant/placement.ts";
import { forgetRetired, type RetiredPlace, sweepPlace } from "../tenant/retired.ts";

/** Looks once more at a place that a tenant has left, and lets others have its name. */
export async function sweepRetired(
  { db, log }: Pick<DriveDeps, "db" | "log">,
  { _id, organization_id, placement }: RetiredPlace,
): Promise<void> {
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
