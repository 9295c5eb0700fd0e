import { expect, setDefaultTimeout, test } from "bun:test";
import { ObjectId } from "mongodb";
import { enqueue } from "../../src/operation/drive.ts";
import { operations } from "../../src/operation/store.ts";
import { organizations } from "../../src/organization/store.ts";
import { offerPlace, placeKey } from "../../src/tenant/placement.ts";
import { driveToRest, useFleet } from "../support/fleet.ts";
import { meddling, says } from "../support/meddling.ts";
import { newcomer } from "../support/service.ts";

setDefaultTimeout(60_000);

const fleet = useFleet();

test("a create that is undone has failed, and leaves nothing, though its record arrives while it is undone", async () => {
  const { db, deps } = fleet;
  const { organization_name, email } = newcomer("late");
  const [_id, organization_id] = [new ObjectId(), new ObjectId()];
  const input = { organization_name, email, admin_id: new ObjectId(), tier: "starter" };
  await enqueue(deps, { _id, organization_id, kind: "provision", input });
  // Whoever comes next has taken it over.
  await operations(db).updateOne({ _id }, { $set: { "lease.fence": 1 } });
  const where = { masterDatabase: db.databaseName, organizationId: organization_id.toHexString() };
  const placement = offerPlace("starter", { ...where, organizationName: organization_name }, 1);
  const arrive = () =>
    organizations(db).insertOne({
      _id: organization_id,
      ...{ organization_name, email, tier: "starter", region: "default", created_at: new Date(), updated_at: null },
      ...{ status: "provisioning", placement, place_keys: [placeKey(placement)] },
    });
  const meddled = meddling(db, "updateOne", "after", says('"status":"deleting"'), arrive);
  const ended = await driveToRest({ db, deps: { ...deps, db: meddled } }, _id);
  expect(ended).toMatchObject({ status: "failed", failure: { code: "operation_pending" } });
  expect(await organizations(db).findOne({ _id: organization_id })).toBeNull();
});
