import { beforeAll, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { ObjectId } from "mongodb";
import { createIndex, dropIndex } from "../../src/document/indexes.ts";
import { settleCommon } from "../../src/flows/indexes/common-index.ts";
import { cancelOperation, moveOrganization } from "../../src/organization/move.ts";
import { getById } from "../../src/organization/store.ts";
import { driveAbandoned } from "../../src/operation/drive.ts";
import { run } from "../../src/operation/run.ts";
import type { TenantIndex, Tier } from "../../src/tenant/placement.ts";
import { meddling, says } from "../support/meddling.ts";
import { createRandom } from "../support/random.ts";
import { collectionOf, driveToRest, type Lodger, stored, useFleet } from "../support/fleet.ts";

setDefaultTimeout(60_000);

const fleet = useFleet();
let [one, other]: Lodger[] = [];
beforeAll(async () => {
  [one, other] = [await fleet.settle("starter"), await fleet.settle("starter")];
}, 60_000);

const common = async () =>
  (await fleet.db.collection("tenant_documents").indexes())
    .map(({ name }) => String(name))
    .filter((name) => name.startsWith("shared~"))
    .sort();
const listed = async ({ _id }: Lodger) => (await getById(fleet.db, _id)).placement!.indexes!.map(({ name }) => name);
const add = ({ _id }: Lodger, field: string, direction: 1 | -1 = 1) =>
  createIndex(fleet.deps, _id, { key: { [field]: direction } });
const drop = ({ _id }: Lodger, field: string) => dropIndex(fleet.deps, _id, `${field}_1`);
const endOf = async (id: ObjectId) => (await driveToRest(fleet, id)).status;
const move = async ({ _id }: Lodger, tier: Tier) => endOf((await moveOrganization(fleet.deps, _id, tier))._id);
const remove = ({ _id: organization_id }: Lodger) =>
  run(fleet.deps, { _id: new ObjectId(), organization_id, kind: "remove", input: {} }, 30_000);

beforeEach(async () => {
  for (const lodger of [one!, other!])
    for (const name of await listed(lodger)) await dropIndex(fleet.deps, lodger._id, name);
});

describe("an index of one field in the shared collection, which all who have it share,", () => {
  test("goes with the last tenant that lists it, so that none can use them all up", async () => {
    for (let n = 0; n < 64; n++) {
      await add(one!, `q${n}`);
      await drop(one!, `q${n}`);
    }
    expect(await common()).toEqual([]);
    await add(other!, "later");
    expect(await common()).toEqual(["shared~later_1"]);
  });

  test("stays as long as another lists it, whatever that one calls it; in the other direction it is another", async () => {
    await add(one!, "deep.n");
    await add(one!, "m");
    await add(other!, "m", -1);
    await createIndex(fleet.deps, other!._id, { key: { "deep.n": 1 }, name: "mine" });
    await drop(one!, "deep.n");
    await drop(one!, "m");
    expect(await common()).toEqual(["shared~deep.n_1", "shared~m_-1"]);
    await dropIndex(fleet.deps, other!._id, "mine");
    expect(await common()).toEqual(["shared~m_-1"]);
  });

  test("doesn't stay for a unique one, which is the tenant's alone", async () => {
    await fleet.db.collection("tenant_documents").deleteMany({ tenant_id: other!.placement.key });
    await add(one!, "n");
    await createIndex(fleet.deps, other!._id, { key: { n: 1 }, unique: true });
    await drop(one!, "n");
    expect(await common()).toEqual([]);
  });

  test("goes when its last tenant moves away, and comes when it comes back", async () => {
    const lodger = await fleet.settle("starter");
    await add(lodger, "a");
    await add(lodger, "b");
    await add(one!, "b");
    expect(await move(lodger, "professional")).toBe("succeeded");
    expect(await common()).toEqual(["shared~b_1"]);
    expect(await move(lodger, "starter")).toBe("succeeded");
    expect(await common()).toEqual(["shared~a_1", "shared~b_1"]);
    await remove(lodger);
    expect(await common()).toEqual(["shared~b_1"]);
  });

  test("is kept for a tenant that is on its way, and goes when its move is cancelled", async () => {
    const lodger = await fleet.settle("professional");
    await add(lodger, "way");
    await add(one!, "way");
    const { _id } = await moveOrganization(fleet.deps, lodger._id, "starter");
    const stopped = {
      ...fleet.deps,
      onStep: ({ step }: { step: string }) => {
        if (step === "copy") throw new Error("killed");
      },
    };
    await driveAbandoned(stopped, 30_000);
    await drop(one!, "way");
    expect(await common()).toEqual(["shared~way_1"]);
    await cancelOperation(fleet.deps, _id);
    expect(await endOf(_id)).toBe("cancelled");
    expect(await common()).toEqual([]);
  });
});

describe("of those who add and drop the same one at once", () => {
  const index = (name: string): TenantIndex => ({ name: `${name}_1`, key: { [name]: 1 }, unique: false });

  test("one who adds it between the other's look and drop has it", async () => {
    await add(one!, "x");
    const db = meddling(fleet.db, "findOne", "after", says('"placement.indexes"'), () => add(other!, "x"));
    await dropIndex({ ...fleet.deps, db }, one!._id, "x_1");
    expect(await listed(other!)).toEqual(["x_1"]);
    expect(await common()).toEqual(["shared~x_1"]);
  });

  test("one who has found it there, and lists it when the other has dropped it, has it", async () => {
    await add(one!, "y");
    const db = meddling(fleet.db, "updateOne", "before", says('"placement.indexes":[{'), () => drop(one!, "y"));
    await createIndex({ ...fleet.deps, db }, other!._id, index("y"));
    expect(await listed(other!)).toEqual(["y_1"]);
    expect(await common()).toEqual(["shared~y_1"]);
  });

  test("a look that is old harms nothing: what it has dropped it makes again", async () => {
    const db = meddling(fleet.db, "findOne", "after", says('"placement.indexes"'), () => add(one!, "z"));
    await settleCommon({ deps: { ...fleet.deps, db }, operation: null }, [index("z")]);
    expect(await common()).toEqual(["shared~z_1"]);
  });

  test("one who builds it while others drop it, who have seen it listed nowhere, has it in the end", async () => {
    const documents = Array.from({ length: 20_000 }, (_, id) => id);
    const { placement } = one!;
    await collectionOf(fleet.db, placement).insertMany(stored(placement, documents, { built: 1 }));
    let isBuilt = false;
    const building = add(one!, "built").finally(() => (isBuilt = true));
    for (let drops = 0; drops < 5 && !isBuilt; drops++) {
      await settleCommon({ deps: fleet.deps, operation: null }, [index("built")]);
    }
    await building;
    expect(await listed(one!)).toEqual(["built_1"]);
    expect(await common()).toEqual(["shared~built_1"]);
  });

  test("who lists one has it, and nothing is there that nobody lists, after any number of rounds", async () => {
    const seed = Number(process.env.SEED ?? Date.now() % 1_000_000);
    const random = createRandom(seed);
    const crowd = [one!, other!, await fleet.settle("starter"), await fleet.settle("starter")];
    const fields = ["r", "s"];
    for (let round = 0; round < 12; round++) {
      await Promise.all(
        crowd.map(async (lodger) => {
          const field = random.pick(fields);
          const has = (await listed(lodger)).includes(`${field}_1`);
          await (has ? drop(lodger, field) : add(lodger, field));
        }),
      );
      const wanted = new Set((await Promise.all(crowd.map(listed))).flat().map((name) => `shared~${name}`));
      expect(await common(), `seed ${seed}, round ${round}`).toEqual([...wanted].sort());
    }
  });
});
