import { afterEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { type Document, ObjectId } from "mongodb";
import { createIndex, dropIndex } from "../../src/document/indexes.ts";
import { countDocuments } from "../../src/document/query.ts";
import type { Report } from "../../src/fleet/doctor.ts";
import { isFailure } from "../../src/lib/failure.ts";
import { createClient } from "../../src/lib/mongo/client.ts";
import { driveAbandoned, type DriveDeps } from "../../src/operation/drive.ts";
import { awaitBuildTurn, endBuildTurn, takeBuildTurn } from "../../src/operation/build-turn.ts";
import type { Operation } from "../../src/operation/operation.ts";
import { advance, findById, operations, start } from "../../src/operation/store.ts";
import { moveOrganization } from "../../src/organization/move.ts";
import { getById } from "../../src/organization/store.ts";
import { collectionOf, deploymentsOf, type Lodger, stored, useFleet } from "../support/fleet.ts";
import { startRefusingProxy } from "../support/refusing-proxy.ts";
import { createMonitored } from "../support/monitored.ts";

setDefaultTimeout(60_000);

const fleet = useFleet();

const shared = () => fleet.db.collection("tenant_documents");
const filler = (n: number) => `~filler${n}`;
const indexes = () => shared().indexes();
/** Makes as many indexes of nobody's as leave so many free. */
async function leaveFree(free: number) {
  for (let n = (await indexes()).length; n < 64 - free; n++) {
    await shared().createIndex({ tenant_id: 1, [filler(n)]: 1 }, { name: filler(n) });
  }
}
afterEach(async () => {
  for (const { name } of await indexes()) if (name!.startsWith("~filler")) await shared().dropIndex(name!);
});

const add = ({ _id }: Lodger, field: string, more: { unique?: boolean } = {}) =>
  createIndex(fleet.deps, _id, { key: { [field]: 1 }, ...more });
/** Takes so many indexes that are an organization's alone. */
async function settleWith(count: number): Promise<Lodger> {
  const lodger = await fleet.settle("starter");
  await shared().deleteMany({ tenant_id: lodger.placement.key });
  for (let n = 0; n < count; n++) await add(lodger, `own${n}`, { unique: true });
  return lodger;
}
const outcome = (asked: Promise<unknown>) =>
  asked.then(
    () => "made",
    (error) => (isFailure(error) ? error.failure : String(error)),
  );

describe("the room that the shared collection has for indexes", () => {
  test("is kept for those who have less: the last 20 for a first one, 20 more for a second one", async () => {
    const [none, one, two] = [await settleWith(0), await settleWith(1), await settleWith(2)];
    await leaveFree(41);
    expect(await outcome(add(two, "third", { unique: true }))).toBe("made");
    expect(await outcome(add(two, "fourth"))).toBe("index_limit");
    expect(await outcome(add(one, "second"))).toBe("made");
    const other = await settleWith(1);
    await leaveFree(20);
    expect(await outcome(add(other, "second", { unique: true }))).toBe("index_limit");
    await expect(add(other, "own second")).rejects.toThrow("for organizations with fewer");
    expect(await outcome(add(none, "first"))).toBe("made");
  });

  test("isn't needed for an index that another has already, however many both have, even when there is none", async () => {
    const [one, other] = [await settleWith(3), await settleWith(3)];
    await add(one, "common");
    await leaveFree(0);
    expect(await outcome(add(other, "common"))).toBe("made");
    await expect(add(await settleWith(0), "rare")).rejects.toThrow("ask for the tier professional");
    // Neither has taken it alone.
    await dropIndex(fleet.deps, one._id, "own2_1");
    await dropIndex(fleet.deps, one._id, "own1_1");
    await dropIndex(fleet.deps, one._id, "own0_1");
    expect(await outcome(add(one, "next"))).toBe("made");
  });

  test("isn't needed for one that another lists, though it isn't there just then", async () => {
    const [one, other] = [await settleWith(3), await settleWith(3)];
    await add(one, "gone");
    await shared().dropIndex("shared~gone_1");
    await leaveFree(1);
    expect(await outcome(add(other, "gone"))).toBe("made");
  });

  test("is kept from whoever moves in with more, who stays where it was", async () => {
    const lodger = await fleet.settle("professional");
    await collectionOf(fleet.db, lodger.placement).deleteMany({});
    for (const field of ["a", "b"]) await add(lodger, field, { unique: true });
    await leaveFree(20);
    const before = (await indexes()).length;
    const { _id } = await moveOrganization(fleet.deps, lodger._id, "starter");
    await driveAbandoned(fleet.deps, 30_000);
    expect((await findById(fleet.db, _id))!.failure?.code).toBe("index_limit");
    expect(await indexes()).toHaveLength(before);
    expect((await getById(fleet.db, lodger._id)).placement).toMatchObject({ tier: "professional" });
  });
});

describe("an index that all share", () => {
  const nothings: Document[] = [
    { f: null },
    { f: { $exists: false } },
    { f: { $in: [null, 1] } },
    { f: { $nin: [1] } },
    { f: { $ne: 1 } },
    { f: { $gte: null } },
    { f: { $lte: null } },
    { f: { $not: { $gt: 0 } } },
    { f: { $type: "null" } },
    { f: { $all: [null] } },
    { f: { $eq: 1 } },
    { f: { $gte: 1 } },
    { f: { $exists: true } },
    { f: { $size: 0 } },
    { $or: [{ f: 1 }, { f: null }] },
    { "g.f": null },
    { "g.f": { $exists: false } },
    { "g.f": 1 },
    { "g.f": { $gt: 0 } },
    { g: { $elemMatch: { f: 1 } } },
    { g: { $elemMatch: { f: null } } },
    { g: { $not: { $elemMatch: { f: 1 } } } },
    { $nor: [{ "g.f": 1 }, { f: 1 }] },
  ];

  test("gives the answers that are given without it, to questions about what isn't there too", async () => {
    const lodger = await fleet.settle("starter");
    const values = [null, 0, 1, "", [], [1, 2], [null], {}, undefined];
    const documents = values.flatMap((f, n) =>
      values.flatMap((g, m) =>
        stored(lodger.placement, [`${n}.${m}`], {
          ...(f !== undefined && { f }),
          ...(g !== undefined && { g: m % 2 === 0 ? { f: g } : [{ f: g }, {}] }),
        }),
      ),
    );
    await shared().insertMany(documents);
    const ask = async () => {
      const counted = nothings.map((filter) => countDocuments(fleet.deps, lodger._id, filter));
      return (await Promise.all(counted)).map(({ count }) => count);
    };
    const before = await ask();
    for (const field of ["f", "g.f"]) await add(lodger, field);
    expect(await ask()).toEqual(before);
    expect(new Set(before).size).toBeGreaterThan(5);
  });

  test("holds nobody's documents without its field", async () => {
    const lodger = await fleet.settle("starter");
    await add(lodger, "thin");
    await add(lodger, "deep.thin");
    const filters = new Map(
      (await indexes()).map(({ name, partialFilterExpression }) => [name, partialFilterExpression]),
    );
    expect(filters.get("shared~thin_1")).toEqual({ thin: { $exists: true } });
    expect(filters.get("shared~deep.thin_1")).toEqual({
      $or: [{ "deep.thin": { $exists: true } }, { deep: { $exists: true } }],
    });
  });

  test("is made anew when it is an earlier version's, which held everybody's", async () => {
    await shared().createIndex({ tenant_id: 1, old: 1 }, { name: "shared~old_1" });
    const lodger = await fleet.settle("starter");
    await add(lodger, "old");
    const made = (await indexes()).find(({ name }) => name === "shared~old_1");
    expect(made!.partialFilterExpression).toEqual({ old: { $exists: true } });
  });

  test("is there again, though it could not be made when an earlier version's had been dropped for it", async () => {
    const proxy = await startRefusingProxy(fleet.deps.config.mongodbUrl);
    const client = createClient(proxy.url);
    const db = client.db(fleet.db.databaseName);
    const deps = { ...fleet.deps, db, deployments: deploymentsOf(db) };
    const [one, other] = [await settleWith(0), await settleWith(0)];
    const made = async () => (await indexes()).find(({ name }) => name === "shared~again_1")?.partialFilterExpression;
    const lose = async () => {
      await shared().dropIndex("shared~again_1");
      await shared().createIndex({ tenant_id: 1, again: 1 }, { name: "shared~again_1" });
      const full = { ok: 0, errmsg: "too many indexes", code: 67, codeName: "CannotCreateIndex" };
      proxy.answer(({ name }) => (name === "createIndexes" ? full : null));
      expect(await outcome(createIndex(deps, other._id, { key: { again: 1 } }))).toBe("index_limit");
      expect((await indexes()).map(({ name }) => name)).not.toContain("shared~again_1");
    };
    await add(one, "again");
    await lose();
    const where = { database: fleet.db.databaseName, collection: "tenant_documents", index: "shared~again_1" };
    const missing = { finding: "index_missing", organization_id: one.id, ...where };
    expect(await fleet.repair()).toContainEqual({ ...missing, mended: true } as Report);
    expect(await made()).toEqual({ again: { $exists: true } });
    await lose();
    proxy.answer(null);
    expect(await outcome(createIndex(deps, other._id, { key: { again: 1 } }))).toBe("made");
    expect(await made()).toEqual({ again: { $exists: true } });
    await client.close();
    await proxy.close();
  });
});

describe("in the shared collection indexes are built one at a time:", () => {
  const change = (name: string) => ({
    change: JSON.stringify({ create: { name, key: { [name]: 1 }, unique: false } }),
  });
  /** An operation whose process was killed when it had the turn, and whose lease runs on. */
  async function dieBuilding({ _id: organization_id }: Lodger, leaseMs: number) {
    const wanted = {
      _id: new ObjectId(),
      organization_id,
      kind: "index" as const,
      step: "look",
      input: change("left"),
    };
    const operation = (await start(fleet.db, wanted, "killed", leaseMs))!;
    expect(await takeBuildTurn(fleet.db, operation)).toBe(true);
    return operation._id;
  }
  const expire = (_id: ObjectId) => operations(fleet.db).updateOne({ _id }, { $set: { "lease.until": new Date(0) } });

  test("whoever comes meanwhile is told so after a while, drops and takes what is there, and has its turn later", async () => {
    const [dead, one, other] = [await settleWith(0), await settleWith(0), await settleWith(0)];
    await add(other, "there");
    const left = await dieBuilding(dead, 60_000);
    const askedMs = performance.now();
    const busy = outcome(add(one, "busy"));
    expect(await outcome(add(await settleWith(0), "there"))).toBe("made");
    await dropIndex(fleet.deps, other._id, "there_1");
    expect(await busy).toBe("index_busy");
    expect(performance.now() - askedMs).toBeLessThan(15_000);
    expect((await getById(fleet.db, one._id)).placement!.indexes ?? []).toEqual([]);
    await expire(left);
    await driveAbandoned(fleet.deps, 30_000);
    expect((await findById(fleet.db, left))!.status).toBe("succeeded");
    expect((await indexes()).map(({ name }) => name)).toContain("shared~left_1");
    expect(await outcome(add(one, "busy"))).toBe("made");
  });

  test("a move to it waits for its turn, and is there in the end", async () => {
    const [dead, lodger] = [await settleWith(0), await fleet.settle("professional")];
    await add(lodger, "brought");
    const left = await dieBuilding(dead, 60_000);
    const { _id } = await moveOrganization(fleet.deps, lodger._id, "starter");
    await driveAbandoned(fleet.deps, 1_000, AbortSignal.timeout(1_000));
    expect(await findById(fleet.db, _id)).toMatchObject({ status: "running", step: "journal" });
    await expire(left);
    await driveAbandoned(fleet.deps, 30_000);
    while ((await findById(fleet.db, _id))!.status === "running") {
      await expire(_id);
      await driveAbandoned(fleet.deps, 30_000);
    }
    expect((await findById(fleet.db, _id))!.status).toBe("succeeded");
    expect((await indexes()).map(({ name }) => name)).toContain("shared~brought_1");
  });

  test("the turn goes to who has waited longest, not to one who asks again and again, nor to one that nobody drives", async () => {
    const [first, second, third, died] = await Promise.all(
      ["first", "second", "third", "died"].map(async (name) => {
        const { _id: organization_id } = await settleWith(0);
        const wanted = {
          _id: new ObjectId(),
          organization_id,
          kind: "index" as const,
          step: "look",
          input: change(name),
        };
        return (await start(fleet.db, wanted, "test", name === "died" ? 0 : 60_000))!;
      }),
    );
    const take = (operation: Operation | undefined) => takeBuildTurn(fleet.db, operation!);
    expect(await take(first)).toBe(true);
    await awaitBuildTurn(fleet.db, died!);
    await awaitBuildTurn(fleet.db, second!);
    await endBuildTurn(fleet.db, first!);
    expect([await take(first), await take(third)]).toEqual([false, false]);
    await awaitBuildTurn(fleet.db, first!);
    await awaitBuildTurn(fleet.db, third!);
    expect([await take(third), await take(first), await take(second)]).toEqual([false, false, true]);
    // Taken over, it has the turn still, and waits for none of those who wait for it.
    expect(await take((await findById(fleet.db, second!._id))!)).toBe(true);
    await endBuildTurn(fleet.db, second!);
    expect([await take(third), await take(first)]).toEqual([false, true]);
    await endBuildTurn(fleet.db, first!);
    // One that is at something else by now doesn't wait any more.
    expect(await advance(fleet.db, third!, "undo", {}, 60_000)).not.toBeNull();
    expect(await take(first)).toBe(true);
    await operations(fleet.db).deleteMany({ "lease.owner": "test" });
  });

  test("the turn ends with an operation that is cancelled, and is nobody's in the end", async () => {
    const [dead, one] = [await settleWith(0), await settleWith(0)];
    const left = await dieBuilding(dead, 60_000);
    await operations(fleet.db).updateOne({ _id: left }, { $set: { cancel_requested: true } });
    await expire(left);
    await driveAbandoned(fleet.deps, 30_000);
    expect((await findById(fleet.db, left))!.status).toBe("cancelled");
    expect(await outcome(add(one, "free"))).toBe("made");
    expect(await operations(fleet.db).countDocuments({ builds: true })).toBe(0);
  });

  test("the turn isn't taken along to the next step", async () => {
    const [dead, one] = [await settleWith(0), await settleWith(0)];
    const left = await dieBuilding(dead, 60_000);
    const operation = (await findById(fleet.db, left))!;
    expect((await advance(fleet.db, operation, "apply", {}, 60_000))!.builds).toBeUndefined();
    expect(await outcome(add(one, "along"))).toBe("made");
    await expire(left);
    await driveAbandoned(fleet.deps, 30_000);
    expect((await findById(fleet.db, left))!.status).toBe("succeeded");
  });

  test("the turn is free when a version that doesn't know of turns has ended the operation", async () => {
    const [dead, one] = [await settleWith(0), await settleWith(0)];
    const left = await dieBuilding(dead, 60_000);
    await operations(fleet.db).updateOne({ _id: left }, { $set: { status: "succeeded" }, $unset: { open: true } });
    expect(await outcome(add(one, "after"))).toBe("made");
  });

  test("several processes never send two builds at once", async () => {
    const building = new Set<number>();
    let [most, built] = [0, 0];
    const processes = await Promise.all(
      [0, 1].map(async (n): Promise<{ deps: DriveDeps & typeof fleet.deps; close(): Promise<void> }> => {
        const client = createMonitored(fleet.deps.config.mongodbUrl);
        client.on("commandStarted", ({ commandName, command, requestId }) => {
          if (commandName !== "createIndexes" || command.createIndexes !== "tenant_documents") return;
          building.add(requestId);
          built++;
          most = Math.max(most, building.size);
        });
        for (const end of ["commandSucceeded", "commandFailed"] as const) {
          client.on(end, ({ requestId }: { requestId: number }) => building.delete(requestId));
        }
        await client.connect();
        const db = client.db(fleet.db.databaseName);
        return {
          deps: { ...fleet.deps, db, deployments: deploymentsOf(db), owner: `process ${n}` },
          close: () => client.close(),
        };
      }),
    );
    const lodgers = await Promise.all([0, 1, 2, 3, 4, 5].map(() => settleWith(0)));
    const asked = lodgers.map(({ _id }, n) =>
      outcome(createIndex(processes[n % 2]!.deps, _id, { key: { [`n${n}`]: 1, m: 1 } })),
    );
    expect(await Promise.all(asked)).toEqual(lodgers.map(() => "made"));
    await Promise.all(processes.map(({ close }) => close()));
    expect({ most, built }).toEqual({ most: 1, built: 6 });
  });
});
