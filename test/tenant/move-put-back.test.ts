import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { ObjectId } from "mongodb";
import { cancelOperation } from "../../src/organization/move.ts";
import { type DriveDeps, enqueue } from "../../src/operation/drive.ts";
import { getById } from "../../src/organization/store.ts";
import { createIndex } from "../../src/tenant/place/indexes.ts";
import { placeKey, type Tier } from "../../src/tenant/placement.ts";
import { isRetired } from "../../src/tenant/place/retired.ts";
import { driveToRest, type Lodger, useFleet } from "../support/fleet.ts";

setDefaultTimeout(60_000);

const fleet = useFleet();

const shared = () => fleet.db.collection("tenant_documents");
const sharedNames = async () => (await shared().indexes()).map(({ name }) => String(name));
const ownNames = async ({ id }: Lodger) => (await sharedNames()).filter((name) => name.startsWith(id)).sort();

async function startMove({ _id }: Lodger, tier: Tier): Promise<ObjectId> {
  const wanted = { _id: new ObjectId(), organization_id: _id, kind: "move" as const, input: { tier } };
  return (await enqueue(fleet.deps, wanted))!._id;
}

const drive = (id: ObjectId, deps: DriveDeps = fleet.deps, rounds?: number) =>
  driveToRest({ db: fleet.db, deps }, id, rounds);

/** Dies once, in `journal`, when the indexes are there and nobody has been told so. */
function dyingInJournal(lodger: Lodger): { deps: DriveDeps; left: () => string[] } {
  let left: string[] = [];
  return {
    left: () => left,
    deps: {
      ...fleet.deps,
      onStep: async ({ step }, moment) => {
        if (step !== "journal" || moment !== "after" || left.length > 0) return;
        left = await ownNames(lodger);
        if (left.length > 0) throw new Error("killed");
      },
    },
  };
}

const settleWithUnique = async (count: number): Promise<Lodger> => {
  const lodger = await fleet.settle("professional");
  await fleet.db.collection(lodger.placement.collection).deleteMany({});
  for (let n = 1; n <= count; n++) {
    await createIndex(fleet.deps.deployments, lodger.placement, {
      name: `u_${n}`,
      key: { [`u${n}`]: 1 },
      unique: true,
    });
  }
  return lodger;
};

describe("of a driver that died in journal nothing stays among the shared collection's indexes", () => {
  test("when another completes the move", async () => {
    const lodger = await settleWithUnique(2);
    const { deps, left } = dyingInJournal(lodger);
    const move = await startMove(lodger, "starter");
    expect((await drive(move, deps, 1)).status).toBe("running");
    expect(left()).toHaveLength(2);
    expect((await drive(move)).status).toBe("succeeded");
    const { placement } = await getById(fleet.db, lodger._id);
    expect(await ownNames(lodger)).toEqual([`${placement!.key}~u_1`, `${placement!.key}~u_2`]);
    expect(left()).not.toContain(`${placement!.key}~u_1`);
  });

  test("when the move is cancelled", async () => {
    const lodger = await settleWithUnique(2);
    const { deps, left } = dyingInJournal(lodger);
    const move = await startMove(lodger, "starter");
    await drive(move, deps, 1);
    expect(left()).toHaveLength(2);
    await cancelOperation({ ...fleet.deps }, move);
    expect((await drive(move)).status).toBe("cancelled");
    expect(await ownNames(lodger)).toEqual([]);
  });
});

describe("a move that is cancelled after its driver died in plan", () => {
  const dyingInPlan = (): DriveDeps => ({
    ...fleet.deps,
    onStep: ({ step }, moment) => {
      if (step === "plan" && moment === "after") throw new Error("killed");
    },
  });
  const placesOf = async ({ _id }: Lodger) => (await getById(fleet.db, _id)).place_keys!;

  test("holds no place but its own: another can have the one that was reserved", async () => {
    const lodger = await fleet.settle("starter");
    const move = await startMove(lodger, "professional");
    await drive(move, dyingInPlan(), 1);
    expect(await placesOf(lodger)).toHaveLength(2);
    await cancelOperation({ ...fleet.deps }, move);
    expect((await drive(move)).status).toBe("cancelled");
    expect(await placesOf(lodger)).toEqual([placeKey(lodger.placement)]);
  });

  test("doesn't make the one that it has left to be had before that has been swept", async () => {
    const lodger = await fleet.settle("professional");
    expect((await drive(await startMove(lodger, "starter"))).status).toBe("succeeded");
    const move = await startMove(lodger, "professional");
    await drive(move, dyingInPlan(), 1);
    await cancelOperation({ ...fleet.deps }, move);
    expect((await drive(move)).status).toBe("cancelled");
    expect(await placesOf(lodger)).not.toContain(placeKey(lodger.placement));
    expect(await isRetired(fleet.db, lodger.placement)).toBe(true);
  });
});

describe("a move whose indexes the shared collection has no room for", () => {
  const filler = (n: number) => `~filler${n}`;
  afterAll(async () => {
    for (const name of await sharedNames()) if (name.startsWith("~filler")) await shared().dropIndex(name);
  });

  test("fails at once and is put back: no index stays, and the organization is where it was and free", async () => {
    const lodger = await settleWithUnique(8);
    const before = (await sharedNames()).length;
    for (let n = before; n < 60; n++) await shared().createIndex({ tenant_id: 1, [filler(n)]: 1 }, { name: filler(n) });
    const move = await startMove(lodger, "starter");
    const { status, failure, attempts = 0 } = await drive(move, fleet.deps, 1);
    expect({ status, code: failure?.code, attempts }).toEqual({ status: "failed", code: "index_limit", attempts: 0 });
    expect(await sharedNames()).toHaveLength(60);
    const organization = await getById(fleet.db, lodger._id);
    expect(organization.placement).toMatchObject({ tier: "professional", collection: lodger.placement.collection });
    expect(organization.move).toBeUndefined();
    expect((await drive(await startMove(lodger, "enterprise"))).status).toBe("succeeded");
  });
});
