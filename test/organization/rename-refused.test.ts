import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { type ClientSession, ObjectId } from "mongodb";
import { type DriveDeps, driveAbandoned, enqueue } from "../../src/operation/drive.ts";
import { findById, operations } from "../../src/operation/store.ts";
import { admins } from "../../src/admin/store.ts";
import { heedsCollectionUuid } from "../../src/lib/mongo/collection-uuid.ts";
import { getById, organizations } from "../../src/organization/store.ts";
import { withTenant } from "../../src/tenant/door.ts";
import { placeKey, type Placement } from "../../src/tenant/placement.ts";
import { isRetired } from "../../src/tenant/place/retired.ts";
import { collectionOf, useFleet } from "../support/fleet.ts";
import { newcomer } from "../support/service.ts";

setDefaultTimeout(60_000);

const fleet = useFleet();

type Guest = { _id: ObjectId; placement: Placement };

/** An organization whose collection the database doesn't rename until `allow` is called. */
async function settleUnrenamable(): Promise<Guest & { allow(): Promise<void> }> {
  const { _id, placement, name } = await fleet.settle("professional");
  if (await heedsCollectionUuid(fleet.db)) {
    // A transaction that has written there holds it.
    const session: ClientSession = fleet.db.client.startSession();
    session.startTransaction();
    await collectionOf(fleet.db, placement).insertOne({ _id: "held" as never }, { session });
    const allow = async () => {
      await session.abortTransaction();
      await session.endSession();
    };
    return { _id, placement, allow };
  }
  // FerretDB renames none with a dot in its name.
  const dotted = { ...placement, collection: `org_${name}.dotted` };
  const documents = await collectionOf(fleet.db, placement).find().toArray();
  await collectionOf(fleet.db, dotted).insertMany(documents);
  await collectionOf(fleet.db, placement).drop();
  await organizations(fleet.db).updateOne(
    { _id },
    { $set: { "placement.collection": dotted.collection, place_keys: [placeKey(dotted)] } },
  );
  return { _id, placement: dotted, allow: async () => {} };
}

async function renameOf(guest: Guest): Promise<{ operationId: ObjectId; name: string }> {
  const admin = (await admins(fleet.db).findOne({ organization_id: guest._id.toHexString() }))!;
  const name = newcomer("renamed").organization_name;
  const input = { admin_id: admin._id, organization_name: name, updated_at: new Date() };
  const operationId = new ObjectId();
  await enqueue(fleet.deps, { _id: operationId, organization_id: guest._id, kind: "update", input });
  return { operationId, name };
}

/** Drives an operation until it has ended, or `tries` times. */
async function drive(id: ObjectId, deps: DriveDeps = fleet.deps, tries = 200) {
  for (; tries > 0; tries--) {
    await operations(fleet.db).updateOne({ _id: id, open: true }, { $set: { "lease.until": new Date(0) } });
    const { organization_id } = (await findById(fleet.db, id))!;
    await driveAbandoned(deps, 20_000, undefined, { organization_id });
    if (!(await findById(fleet.db, id))!.open) break;
  }
  return (await findById(fleet.db, id))!;
}

const read = ({ _id }: Guest) => withTenant(fleet.deps, _id, "read", async (scope) => (await scope.find("a")) !== null);

describe("a rename that the database refuses", () => {
  test("lets readers and writers in again, gives the organization its new name, and leaves the documents where they are", async () => {
    const guest = await settleUnrenamable();
    const { operationId, name } = await renameOf(guest);
    const { status, history } = await drive(operationId);
    await guest.allow();
    expect(status).toBe("succeeded");
    const organization = await getById(fleet.db, guest._id);
    expect(organization).toMatchObject({ organization_name: name, place_keys: [placeKey(guest.placement)] });
    expect(organization.placement?.collection).toBe(guest.placement.collection);
    expect(organization.move).toBeUndefined();
    expect(history.filter(({ step }) => step === "seal").length).toBeGreaterThan(1);
    expect(await read(guest)).toBe(true);
  });

  test("after a driver that died in it leaves nothing under which the first rename could still take the documents away", async () => {
    const guest = await settleUnrenamable();
    const { operationId } = await renameOf(guest);
    let to: Placement | undefined;
    const dying: DriveDeps = {
      ...fleet.deps,
      onStep: ({ step, progress }, moment) => {
        if (step !== "rename" || moment !== "before") return;
        to = progress.to as Placement;
        throw new Error("killed");
      },
    };
    await drive(operationId, dying, 1);
    expect((await drive(operationId)).status).toBe("succeeded");
    await guest.allow();
    // What the driver that died had sent.
    const namespace = ({ collection }: Placement) => `${fleet.db.databaseName}.${collection}`;
    const late = { renameCollection: namespace(guest.placement), to: namespace(to!) };
    await expect(fleet.db.admin().command(late)).rejects.toThrow();
    expect(await read(guest)).toBe(true);
    expect(await isRetired(fleet.db, to!)).toBe(true);
    // However often it is looked at while the documents are there.
    const due = () =>
      fleet.db.collection("retired_places").findOne({ organization_id: guest._id, target_from: { $exists: true } });
    const sweep = new ObjectId();
    const input = { retired_id: (await due())!._id };
    await enqueue(fleet.deps, { _id: sweep, organization_id: guest._id, kind: "sweep", input });
    expect((await drive(sweep)).status).toBe("succeeded");
    expect(await fleet.db.listCollections({ name: to!.collection }).toArray()).toHaveLength(1);
    expect((await due())?.due_at.getTime()).toBeGreaterThan(Date.now());
  });

  test("is done in a later try when the database allows it by then", async () => {
    const guest = await settleUnrenamable();
    if (!(await heedsCollectionUuid(fleet.db))) return;
    const { operationId, name } = await renameOf(guest);
    const deps: DriveDeps = {
      ...fleet.deps,
      onStep: async ({ step, progress }, moment) => {
        if (step === "close" && moment === "before" && progress.refused === 1) await guest.allow();
      },
    };
    expect((await drive(operationId, deps)).status).toBe("succeeded");
    expect((await getById(fleet.db, guest._id)).placement?.collection).toBe(`org_${name}`);
    expect(await read(guest)).toBe(true);
  });
});
