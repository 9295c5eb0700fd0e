import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type Db, type MongoClient, ObjectId } from "mongodb";
import { createClient } from "../../src/lib/mongo/client.ts";
import { createLogger } from "../../src/log.ts";
import { createPresence } from "../../src/process/presence.ts";
import * as processStore from "../../src/process/store.ts";
import { createLeases, type Standing } from "../../src/tenant/lease.ts";
import { offerPlace } from "../../src/tenant/placement.ts";
import { freshDatabaseName } from "../support/service.ts";

const minute = 60_000;
const log = createLogger("silent");
let client: MongoClient;
let db: Db;

beforeAll(async () => {
  client = await createClient(process.env.MONGODB_URL!).connect();
});
afterAll(async () => {
  await client.close();
});

/** A database of its own, and a clock that the test turns. */
async function inDatabase(use: () => Promise<void>): Promise<void> {
  db = client.db(freshDatabaseName());
  await use().finally(() => db.dropDatabase());
}

const records = () => db.collection<processStore.ProcessRecord>("processes");

/** A process as `boot.ts` makes it, with a clock that the test turns. */
function start(leaseMs: number, clock = { ms: 0 }) {
  const _id = new ObjectId().toHexString();
  let reachable = true;
  let written = Promise.withResolvers<void>();
  const presence = createPresence({
    store: {
      async writeSeen() {
        if (!reachable) throw new Error("the database is away");
        const seenAt = await processStore.writeSeen(db, { _id, version: "test", placement_lease_ms: leaseMs });
        written.resolve();
        return seenAt;
      },
      findLongestLease: (since) => processStore.findLongestLease(db, since),
      removeSilent: (before) => processStore.removeSilent(db, before),
      remove: () => processStore.remove(db, _id),
    },
    leaseMs,
    log,
    nowMs: () => clock.ms,
  });
  return {
    ...{ _id, clock, presence },
    isAway: (away: boolean) => void (reachable = !away),
    /** Does something that lets it announce itself aside, and waits for that. */
    async announcedBy(act: () => Promise<unknown>) {
      written = Promise.withResolvers();
      await act();
      await written.promise;
      // Joins what is under way.
      await presence.announce();
    },
  };
}

/** Makes it look as if a process had last been heard of so long ago, by the database's clock. */
const silentFor = (id: string, ms: number) =>
  records().updateOne({ _id: id }, [{ $set: { seen_at: { $subtract: ["$$NOW", ms] } } }]);

describe("a mover waits for the longest lease of all processes that live", () => {
  test("of those before it and those that come later, and for its own at least", () =>
    inDatabase(async () => {
      const mover = start(200);
      expect(await mover.presence.longestLeaseMs()).toBe(200);
      const other = start(4_000);
      await other.presence.announce();
      expect(await mover.presence.longestLeaseMs()).toBe(4_000);
      await mover.presence.announce();
      expect(await mover.presence.longestLeaseMs()).toBe(4_000);
      await other.presence.stop();
      expect(await mover.presence.longestLeaseMs()).toBe(200);
      expect(await records().distinct("_id")).toEqual([mover._id]);
      await mover.presence.stop();
      expect(await records().countDocuments()).toBe(0);
    }));

  test("one that was silent for ten minutes by the database's clock is dead, and its record goes when another comes", () =>
    inDatabase(async () => {
      const [dead, mover] = [start(4_000), start(200)];
      await dead.presence.announce();
      await mover.presence.announce();
      await silentFor(dead._id, 9 * minute);
      expect(await mover.presence.longestLeaseMs()).toBe(4_000);
      await silentFor(dead._id, 11 * minute);
      expect(await mover.presence.longestLeaseMs()).toBe(200);
      const newcomer = start(300);
      await newcomer.presence.announce();
      expect((await records().distinct("_id")).sort()).toEqual([mover._id, newcomer._id].sort());
      await Promise.all([dead, mover, newcomer].map(({ presence }) => presence.stop()));
    }));

  test("one that has started again with another setting is another, and the one before it counts until it is dead", () =>
    inDatabase(async () => {
      const [killed, again] = [start(4_000), start(300)];
      await killed.presence.announce();
      await again.presence.announce();
      expect(await again.presence.longestLeaseMs()).toBe(4_000);
      await Promise.all([killed, again].map(({ presence }) => presence.stop()));
    }));
});

describe("a lease holds only while movers know of the process", () => {
  const standing: Standing = {
    placement: {
      ...offerPlace("starter", { masterDatabase: "m", organizationId: "0".repeat(24), organizationName: "a" }, 1),
    },
  };
  const id = new ObjectId();
  const leasesOf = ({ presence, clock }: ReturnType<typeof start>) => {
    let reads = 0;
    const leases = createLeases({
      read: async () => (reads++, standing),
      leaseMs: 500,
      knownUntilMs: presence.knownUntilMs,
      primary: { generation: () => 0, settled: async () => {} },
      nowMs: () => clock.ms,
    });
    return { ...leases, reads: () => reads };
  };

  test("none before its record is acknowledged; then one holds for its time", () =>
    inDatabase(async () => {
      const process = start(500);
      const leases = leasesOf(process);
      await process.announcedBy(async () => {
        const early = await leases.acquire(id);
        expect(leases.holds(early!)).toBe(false);
        // Asked for before the record was there: that it is now changes nothing.
        expect(early!.untilMs).toBe(Number.NEGATIVE_INFINITY);
      });
      expect(await records().countDocuments({ _id: process._id, placement_lease_ms: 500 })).toBe(1);
      const lease = await leases.acquire(id);
      expect(leases.holds(lease!)).toBe(true);
      expect(lease!.untilMs).toBe(process.clock.ms + 500);
      expect(await leases.acquire(id)).toBe(lease);
      await process.presence.stop();
    }));

  test("one that isn't heard for five minutes by its own clock takes none that holds until it is known again", () =>
    inDatabase(async () => {
      const process = start(500);
      const leases = leasesOf(process);
      await process.presence.announce();
      process.isAway(true);
      process.clock.ms = 5 * minute - 100;
      // A lease is never longer than that.
      const last = await leases.acquire(id);
      expect(last!.untilMs).toBe(5 * minute);
      process.clock.ms = 5 * minute;
      expect(leases.holds(last!)).toBe(false);
      const before = leases.reads();
      for (const _ of [1, 2, 3]) expect(leases.holds((await leases.acquire(id))!)).toBe(false);
      expect(leases.reads()).toBe(before + 3);
      process.isAway(false);
      await process.announcedBy(() => leases.acquire(id));
      expect(leases.holds((await leases.acquire(id))!)).toBe(true);
      await process.presence.stop();
    }));

  test("none any more when it has stopped, and it isn't announced again", () =>
    inDatabase(async () => {
      const process = start(500);
      const leases = leasesOf(process);
      await process.presence.announce();
      await process.presence.stop();
      expect(leases.holds((await leases.renew(id))!)).toBe(false);
      await process.presence.announce();
      expect(await records().countDocuments()).toBe(0);
    }));
});
