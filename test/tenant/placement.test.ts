import { deploymentsOf } from "../support/fleet.ts";
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { MongoClient, ObjectId } from "mongodb";
import { createLeases } from "../../src/tenant/lease.ts";
import { createPlaces } from "../../src/lib/limit/places.ts";
import { aside, withTenant } from "../../src/tenant/door.ts";
import {
  enterpriseDatabase,
  isTenantCollection,
  offerPlace,
  ownerOfDatabase,
  placeKey,
  tiers,
} from "../../src/tenant/placement.ts";

/** What MongoDB forbids in the name of a database, on any system (manual: "Restrictions on Db Names"). */
const forbidden = /[/\\. "$*<>:|?\0]/;

const id = fc.uint8Array({ minLength: 12, maxLength: 12 }).map((bytes) => Buffer.from(bytes).toString("hex"));
const number = fc.integer({ min: 1, max: 999_999_999 });
const ofUnit = (unit: fc.Arbitrary<string>) => fc.string({ unit, minLength: 1, maxLength: 63 });
/** Names that MongoDB itself takes, of all lengths, of letters of one to four bytes. */
const master = fc
  .oneof(
    ofUnit(fc.constantFrom(..."abcxyzABC019_-~@")),
    ofUnit(fc.constantFrom("ä", "文", "😀", "a")),
    ofUnit(fc.string({ minLength: 1, maxLength: 1, unit: "binary" })),
  )
  .filter((name) => !forbidden.test(name) && Buffer.byteLength(name) <= 63 && name.isWellFormed());

const runs = { numRuns: 3_000 };

describe("the database of an enterprise tenant", () => {
  test("has a name of at most 63 bytes without a forbidden character, whatever the master database is called", () => {
    fc.assert(
      fc.property(master, id, number, (masterDatabase, organizationId, n) => {
        const name = enterpriseDatabase(masterDatabase, organizationId, n);
        expect(Buffer.byteLength(name)).toBeLessThanOrEqual(63);
        expect(name).not.toMatch(forbidden);
        expect(name.isWellFormed()).toBe(true);
        expect(name).not.toBe(masterDatabase);
      }),
      runs,
    );
  });

  test("says whose it is, and is no other's: no two ids, numbers or master databases have one name", () => {
    fc.assert(
      fc.property(master, master, id, id, number, number, (oneMaster, otherMaster, oneId, otherId, n, m) => {
        const name = enterpriseDatabase(oneMaster, oneId, n);
        expect(ownerOfDatabase(oneMaster, name)).toBe(oneId);
        // Not in a server that tells names apart by case only, either: MongoDB refuses those.
        const same = (masterDatabase: string, organizationId: string, of: number) =>
          enterpriseDatabase(masterDatabase, organizationId, of).toLowerCase() === name.toLowerCase();
        expect(same(oneMaster, otherId, m)).toBe(oneId === otherId && n === m);
        expect(same(oneMaster, oneId, m)).toBe(n === m);
        expect(same(otherMaster, oneId, n)).toBe(oneMaster.toLowerCase() === otherMaster.toLowerCase());
        if (oneMaster !== otherMaster) expect(ownerOfDatabase(otherMaster, name)).toBeNull();
      }),
      runs,
    );
  });

  test("isn't seen in any other name", () => {
    fc.assert(
      fc.property(master, id, number, fc.string({ minLength: 1 }), (masterDatabase, organizationId, n, more) => {
        const name = enterpriseDatabase(masterDatabase, organizationId, n);
        fc.pre(!/^\d+$/.test(more));
        expect(ownerOfDatabase(masterDatabase, `${name}${more}`)).toBeNull();
        expect(ownerOfDatabase(masterDatabase, `${more}${name}`)).toBeNull();
        expect(ownerOfDatabase(masterDatabase, masterDatabase)).toBeNull();
      }),
      runs,
    );
  });
});

describe("the place of a tenant", () => {
  test("is another one for each tier, organization and number", () => {
    const where = (organizationId: string) => ({
      masterDatabase: "master",
      organizationId,
      organizationName: `name-${organizationId.slice(0, 6)}`,
    });
    const ids = ["0123456789abcdef01234567", "fedcba9876543210fedcba98"];
    const keys = tiers.flatMap((tier) =>
      ids.flatMap((one) => [1, 2, 3].map((n) => placeKey(offerPlace(tier, where(one), n)))),
    );
    expect(new Set(keys).size).toBe(keys.length);
  });

  test("has a collection whose name fits beside that of its stage, for the longest name of an organization", () => {
    const where = { masterDatabase: "d", organizationId: "0".repeat(24), organizationName: "x".repeat(50) };
    for (const candidate of [1, 100, 999_999_999]) {
      const { collection } = offerPlace("professional", where, candidate);
      expect(isTenantCollection(collection)).toBe(true);
      // MongoDB's limit is 255 bytes for database, dot and collection; FerretDB's is 235.
      expect(Buffer.byteLength(`${"d".repeat(63)}.${collection}~s${Number.MAX_SAFE_INTEGER}`)).toBeLessThan(235);
    }
  });
});

describe("the one door", () => {
  const where = { masterDatabase: "d", organizationName: "acme" };
  const documents = { deployments: {} as never, places: createPlaces({ atOnce: 1, waitingMax: 0, waitMs: 0 }) };
  const leases = createLeases({
    read: async () => null,
    leaseMs: 100,
    knownUntilMs: () => Number.POSITIVE_INFINITY,
    primary: { generation: () => 0, settled: async () => {} },
  });

  test.each([undefined, null, ""])("doesn't open without a tenant: %p", async (tenant) => {
    const opening = withTenant({ db: {} as never, documents, leases }, tenant as never, "read", async () => "open");
    await expect(opening).rejects.toThrow("without a tenant");
  });

  test("lets others have the place of who has something done aside, and then begins anew with a lease that holds", async () => {
    const placement = offerPlace("professional", { ...where, organizationId: "0123456789abcdef01234567" }, 1);
    const standing = createLeases({
      read: async () => ({ placement }),
      leaseMs: 20,
      knownUntilMs: () => Number.POSITIVE_INFINITY,
      primary: { generation: () => 0, settled: async () => {} },
    });
    const client = new MongoClient("mongodb://127.0.0.1:1/");
    const db = client.db("d");
    const deps = { db, documents: { ...documents, deployments: deploymentsOf(db) }, leases: standing };
    const enter = (use: () => Promise<string>) => withTenant(deps, new ObjectId(), "read", use);
    let isDone = false;
    const found = await enter(async () => {
      if (isDone) return "done";
      throw aside(async () => {
        expect(await enter(async () => "others go on")).toBe("others go on");
        await Bun.sleep(30);
        isDone = true;
      });
    });
    expect(found).toBe("done");
    const failing = () => enter(() => Promise.reject(aside(() => Promise.reject(new Error("what went wrong")))));
    await expect(failing()).rejects.toThrow("what went wrong");
    expect(await enter(async () => "the place is free again")).toBe("the place is free again");
  });

  test("doesn't open for a tenant that isn't there", async () => {
    const opening = withTenant({ db: {} as never, documents, leases }, new ObjectId(), "read", async () => "open");
    await expect(opening).rejects.toMatchObject({ failure: "tenant_gone" });
  });
});
