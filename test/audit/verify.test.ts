import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { type Db, type Document, ObjectId } from "mongodb";
import { type Entry, entryOf } from "../../src/audit/audit.ts";
import { beginning, type ChainedEntry, hashOf, idOf, join } from "../../src/audit/chain.ts";
import { keptSince, retain } from "../../src/audit/retain.ts";
import { auditEntries, auditHeads, auditPending, beginAfter } from "../../src/audit/store.ts";
import { type Broken, type ChainReport, type Notes, readNotes, verify } from "../../src/audit/verify.ts";
import { prepare } from "../../src/prepare.ts";
import { operations } from "../../src/operation/store.ts";
import { chainedOrganizations } from "../../src/organization/all/chained.ts";
import { takeOver } from "../../src/takeover/take-over.ts";
import { type Fleet, openFleet } from "../support/fleet.ts";
import { legacyRecords } from "../support/legacy.ts";
import { dropAll } from "../support/service.ts";

setDefaultTimeout(60_000);
let fleet: Fleet;
let db: Db;
beforeAll(async () => {
  fleet = await openFleet({ AUDIT_RETENTION_DAYS: "10" });
  db = fleet.db;
}, 60_000);
afterAll(() => fleet.close());

const dayMs = 86_400_000;
const daysAgo = (days: number) => new Date(Date.now() - days * dayMs);
/** Twelve entries, the first four older than they are kept. */
async function chainOfTwelve(): Promise<ObjectId> {
  const id = new ObjectId();
  const appended = Array.from({ length: 12 }, (_, index) => {
    const n = index + 1;
    const at = daysAgo(n <= 4 ? 20 - n : 5);
    const wanted = { act: "session.sign_in", organizationId: id, at, details: { n, fine: true } } as const;
    return fleet.deps.audit.append(entryOf(fleet.deps, wanted, "success"));
  });
  await Promise.all(appended);
  await fleet.deps.audit.flush();
  return id;
}
const entries = () => auditEntries(db);
const at = (id: ObjectId, seq: number) => ({ _id: idOf(id.toHexString(), seq) });
const get = async (id: ObjectId, seq: number) => (await entries().findOne(at(id, seq)))!;
const set = (id: ObjectId, seq: number, change: Document) => entries().updateOne(at(id, seq), { $set: change });
const drop = (id: ObjectId, ...seqs: number[]) =>
  entries().deleteMany({ _id: { $in: seqs.map((seq) => idOf(id.toHexString(), seq)) } });
/** Puts an entry to a place, with its `_id` and number, hashed anew if asked. */
async function put(id: ObjectId, seq: number, entry: ChainedEntry, change: Partial<ChainedEntry> = {}, rehash = false) {
  const placed = { ...entry, ...change, _id: idOf(id.toHexString(), seq), seq, act_id: new ObjectId().toHexString() };
  await entries().insertOne(rehash ? { ...placed, hash: hashOf(placed) } : placed);
}
async function reportOf(id: ObjectId): Promise<ChainReport> {
  const reports: ChainReport[] = [];
  const intact = await verify({ db }, id.toHexString(), (one) => reports.push(one));
  expect(reports).toHaveLength(1);
  expect(reports[0]!.intact).toBe(intact);
  return reports[0]!;
}
const age = () => retain(fleet.deps);

type Tampering = [name: string, tamper: (id: ObjectId) => Promise<unknown>, broken: Broken[]];
const altered = (seq: number): Broken => ({ seq, problem: "altered" });
const found = (problem: Broken["problem"], seq: number): Broken => ({ seq, problem });
const fields: [string, Document][] = [
  ["its act", { act: "session.sign_out" }],
  ["its outcome", { outcome: "failure" }],
  ["who", { "who.id": "0".repeat(24) }],
  ["its time", { at: new Date(0) }],
  ["its time as text", { at: "2026-11-24T09:30:00.000Z" }],
  ["its address", { address: "192.0.2.1" }],
  ["its request id", { request_id: "x" }],
  ["a detail", { "details.n": 99 }],
  ["a detail's type", { "details.fine": "true" }],
  ["a detail that is added", { "details.more": 1 }],
  ["a field that is added", { more: 1 }],
  ["a value that no entry holds", { details: new ObjectId() }],
  ["the chain that it names", { chain: "platform" }],
  ["the place that it names", { seq: 7 }],
  ["its version", { v: 2 }],
  ["the id of its act", { act_id: "another" }],
];
const tamperings: Tampering[] = [
  ...fields.map(([name, change]): Tampering => [`altered: ${name}`, (id) => set(id, 6, change), [altered(6)]]),
  [
    "altered: a field that is taken out",
    (id) => entries().updateOne(at(id, 6), { $unset: { details: 1 } }),
    [altered(6)],
  ],
  [
    "altered: its time as a document of the same canonical text",
    async (id) => set(id, 6, { at: { $date: (await get(id, 6)).at.toISOString() } }),
    [altered(6)],
  ],
  [
    "altered and hashed anew, with a time that is none: the last",
    async (id) => {
      const entry = { ...(await get(id, 12)), at: "yesterday" as unknown as Date };
      await set(id, 12, { at: entry.at, hash: hashOf(entry) });
    },
    [altered(12), found("head_differs", 12)],
  ],
  ["altered: the first", (id) => set(id, 1, { outcome: "failure" }), [altered(1)]],
  ["altered: the last", (id) => set(id, 12, { outcome: "failure" }), [altered(12)]],
  ["altered: its hash", (id) => set(id, 6, { hash: "f".repeat(64) }), [altered(6), found("reordered", 7)]],
  [
    "altered and hashed anew",
    async (id) => {
      const entry = { ...(await get(id, 6)), outcome: "failure" as const };
      await set(id, 6, { outcome: "failure", hash: hashOf(entry) });
    },
    [found("reordered", 7)],
  ],
  [
    "altered and hashed anew: the last",
    async (id) => {
      const entry = { ...(await get(id, 12)), outcome: "failure" as const };
      await set(id, 12, { outcome: "failure", hash: hashOf(entry) });
    },
    [found("head_differs", 12)],
  ],
  ["removed: the first", (id) => drop(id, 1), [found("missing", 1)]],
  ["removed: one in the middle", (id) => drop(id, 6), [found("missing", 6)]],
  ["removed: several in the middle", (id) => drop(id, 6, 7, 9), [found("missing", 6), found("missing", 9)]],
  ["removed: the last", (id) => drop(id, 12), [found("cut_off", 12)]],
  ["removed: the last three", (id) => drop(id, 10, 11, 12), [found("cut_off", 10)]],
  ["removed: all", (id) => entries().deleteMany({ chain: id.toHexString() }), [found("cut_off", 1)]],
  [
    "two that have changed places",
    async (id) => {
      const [five, six] = [await get(id, 5), await get(id, 6)];
      await drop(id, 5, 6);
      await put(id, 5, six);
      await put(id, 6, five);
    },
    [found("reordered", 5), altered(5), found("reordered", 6), altered(6), found("reordered", 7)],
  ],
  [
    "two that have changed places, hashed anew",
    async (id) => {
      const [five, six] = [await get(id, 5), await get(id, 6)];
      await drop(id, 5, 6);
      await put(id, 5, six, {}, true);
      await put(id, 6, five, {}, true);
    },
    [found("reordered", 5), found("reordered", 6), found("reordered", 7)],
  ],
  [
    "one put in between, the later ones moved on",
    async (id) => {
      const last = await get(id, 12);
      await drop(id, 12);
      await put(id, 12, last, { outcome: "failure" }, true);
      await put(id, 13, last);
    },
    [found("head_differs", 12), found("reordered", 13), altered(13)],
  ],
  [
    "one appended that follows nothing",
    async (id) => put(id, 13, await get(id, 12), {}, true),
    [found("reordered", 13)],
  ],
  [
    "one of an id that is no place",
    async (id) => {
      const entry = await get(id, 12);
      await entries().insertOne({ ...entry, _id: `${id.toHexString()}/6`, act_id: "stray" });
    },
    [found("stray", 12)],
  ],
  ["the head taken away", (id) => auditHeads(db).deleteOne({ _id: id.toHexString() }), [found("head_missing", 12)]],
  [
    "the head and the last taken away",
    async (id) => {
      await auditHeads(db).deleteOne({ _id: id.toHexString() });
      await drop(id, 12);
    },
    [found("head_missing", 11)],
  ],
  [
    "the head's hash altered",
    (id) => auditHeads(db).updateOne({ _id: id.toHexString() }, { $set: { hash: "f".repeat(64) } }),
    [found("head_differs", 12)],
  ],
  [
    "the beginning put later than it is",
    (id) => auditHeads(db).updateOne({ _id: id.toHexString() }, { $set: { begins: { seq: 2, hash: "f".repeat(64) } } }),
    [found("left_over", 1), found("left_over", 2), found("reordered", 3)],
  ],
];

describe("what audit verify finds", () => {
  test.each(tamperings)("audit verify finds %s", async (_name, tamper, broken) => {
    const id = await chainOfTwelve();
    expect(await reportOf(id)).toMatchObject({ intact: true, broken: [], entries: 12, first_seq: 1, last_seq: 12 });
    await tamper(id);
    const report = await reportOf(id);
    expect({ intact: report.intact, broken: report.broken }).toEqual({ intact: false, broken });
  });

  test("audit verify of all finds an entry that is in no chain, and a chain of nobody's", async () => {
    await entries().deleteMany({});
    await auditHeads(db).deleteMany({});
    const [one, two] = [await chainOfTwelve(), await chainOfTwelve()];
    const all = async () => {
      const reports: ChainReport[] = [];
      await verify({ db }, null, (report) => reports.push(report));
      return reports.map(({ chain, intact }) => [chain, intact]);
    };
    const good = [one, two].map((id) => [id.toHexString(), true]);
    expect(await all()).toEqual(good);
    const entry = await get(one, 3);
    const stray = { ...entry, act_id: "a", _id: new ObjectId() as unknown as string };
    await entries().insertOne(stray);
    expect(await all()).toEqual([...good, ["none", false]]);
    await entries().deleteOne({ _id: stray._id });
    await entries().insertOne({ ...entry, act_id: "b", _id: "zebra/000000000001" });
    expect(await all()).toEqual([...good, ["zebra", false]]);
    await entries().deleteOne({ _id: "zebra/000000000001" });
    expect(await all()).toEqual(good);
  });
});

describe("audit verify against what was noted earlier", () => {
  const noted = async (id: ObjectId) => readNotes(`${JSON.stringify(await reportOf(id))}\n`);
  const against = async (id: ObjectId, notes: Notes, since = keptSince(fleet.deps)) => {
    const reports: ChainReport[] = [];
    await verify({ db }, null, (one) => reports.push(one), { notes, keptSince: since });
    return reports.find(({ chain }) => chain === id.toHexString())?.broken;
  };

  test("finds a chain that was written anew as a whole, or that is gone with its head", async () => {
    const id = await chainOfTwelve();
    const notes = await noted(id);
    await fleet.deps.audit.append(entryOf(fleet.deps, { act: "session.sign_in", organizationId: id }, "success"));
    await fleet.deps.audit.flush();
    expect(await against(id, notes)).toEqual([]);
    const all = await entries().find({ chain: id.toHexString() }).sort({ _id: 1 }).toArray();
    await entries().deleteMany({ chain: id.toHexString() });
    const forged = join(
      beginning,
      all.map((entry): Entry => {
        const { _id, v: _v, seq: _seq, previous: _previous, hash: _hash, ...rest } = entry;
        return _id === idOf(id.toHexString(), 6) ? { ...rest, outcome: "failure" } : rest;
      }),
    );
    await entries().insertMany(forged);
    await auditHeads(db).updateOne({ _id: id.toHexString() }, { $set: { hash: forged.at(-1)!.hash } });
    expect(await reportOf(id)).toMatchObject({ intact: true, entries: 13 });
    expect(await against(id, notes)).toEqual([found("rewritten", 12)]);
    await auditHeads(db).deleteOne({ _id: id.toHexString() });
    await entries().deleteMany({ chain: id.toHexString() });
    expect(await against(id, notes)).toEqual([found("cut_off", 1)]);
  });

  /** Removes the oldest entries as if they were old, and says so. */
  const behead = async (id: ObjectId, seq: number) => {
    await beginAfter(db, id.toHexString(), await get(id, seq));
    await drop(id, ...Array.from({ length: seq }, (_, index) => index + 1));
  };
  const append = (id: ObjectId, at = new Date()) =>
    fleet.deps.audit.append(entryOf(fleet.deps, { act: "session.sign_in", organizationId: id, at }, "success"));

  test.each([1, 3, 4])(
    "finds that %d entries were removed before their time, all that it had then too",
    async (seq) => {
      const id = new ObjectId();
      for (let n = 1; n <= 3; n++) await append(id);
      await fleet.deps.audit.flush();
      const notes = await noted(id);
      await append(id);
      await append(id);
      await behead(id, seq);
      expect(await reportOf(id)).toMatchObject({ intact: true, first_seq: seq + 1, last_seq: 5 });
      expect(await against(id, notes)).toEqual([found("missing", 1)]);
    },
  );

  test("finds by the reports of several days what was removed of the middle, which none of one day shows", async () => {
    const id = new ObjectId();
    const reports: string[] = [];
    for (const days of [20, 8, 6, 0]) {
      await append(id, daysAgo(days));
      await fleet.deps.audit.flush();
      reports.push(JSON.stringify(await reportOf(id)));
    }
    await behead(id, 3);
    expect(await against(id, readNotes(reports.at(-1)!))).toEqual([]);
    expect(await against(id, readNotes(reports.join("\n")))).toEqual([found("missing", 2)]);
  });

  test("finds everything that was removed when all is kept for ever, also by a report of before times were in it", async () => {
    const id = await chainOfTwelve();
    const { chain, last_seq, last_hash } = await reportOf(id);
    const old = readNotes(JSON.stringify({ chain, last_seq, last_hash }));
    const notes = await noted(id);
    expect(await against(id, notes, null)).toEqual([]);
    await behead(id, 4);
    expect(await against(id, notes)).toEqual([]);
    expect(await against(id, notes, null)).toEqual([found("missing", 1)]);
    await behead(id, 12);
    expect(await against(id, old)).toEqual([]);
    expect(await against(id, old, null)).toEqual([found("missing", 12)]);
  });

  test("finds another entry where the chain is said to begin", async () => {
    const id = new ObjectId();
    await append(id, daysAgo(20));
    const notes = await noted(id);
    await age();
    expect(await against(id, notes)).toEqual([]);
    await auditHeads(db).updateOne({ _id: id.toHexString() }, { $set: { "begins.hash": "f".repeat(64) } });
    expect(await against(id, notes)).toEqual([found("rewritten", 1)]);
  });

  test("takes what was removed for its age for what it is", async () => {
    const id = new ObjectId();
    const wanted = { act: "session.sign_in", organizationId: id, at: daysAgo(20) } as const;
    await fleet.deps.audit.append(entryOf(fleet.deps, wanted, "success"));
    const notes = await noted(id);
    await age();
    expect(await against(id, notes)).toEqual([]);
  });

  test("refuses what is no report", () => {
    expect(() => readNotes('{"chain":"platform"}')).toThrow("line 1");
    expect(() => readNotes("x")).toThrow("line 1");
    expect(readNotes("\n").size).toBe(0);
  });
});

describe("a whole chain that is gone with its head", () => {
  const reportsOf = async (chain: string | null) => {
    const reports: [string, boolean | null, Broken[]][] = [];
    const organizations = chainedOrganizations(db);
    const expected = { notes: new Map(), keptSince: keptSince(fleet.deps), organizations };
    const good = await verify({ db }, chain, (one) => reports.push([one.chain, one.intact, one.broken]), expected);
    return { good, reports };
  };
  const noChain = [found("no_chain", 0)];
  const removeChain = async (id: string) => {
    await fleet.deps.audit.flush();
    await entries().deleteMany({ chain: id });
    await auditHeads(db).deleteOne({ _id: id });
  };

  test("audit verify reports a whole chain that is gone with its head, of an organization that this version made, also when all are checked", async () => {
    await entries().deleteMany({});
    await auditHeads(db).deleteMany({});
    const [whole, other] = [await fleet.settle("starter"), await fleet.settle("professional")];
    await fleet.deps.audit.flush();
    const fine = [whole, other].map(({ id }) => [id, true, []]);
    expect(await reportsOf(null)).toEqual({ good: true, reports: fine as never });
    await removeChain(other.id);
    expect(await reportsOf(other.id)).toEqual({ good: false, reports: [[other.id, false, noChain]] });
    expect(await reportsOf(null)).toEqual({
      good: false,
      reports: [
        [whole.id, true, []],
        [other.id, false, noChain],
      ],
    });
    // As if it were just being made: its first entry comes before the operation is closed.
    await operations(db).updateOne({ organization_id: other._id, kind: "provision" }, { $set: { open: true } });
    expect(await reportsOf(null)).toEqual({ good: true, reports: [[whole.id, true, []]] });
    await operations(db).deleteMany({ organization_id: other._id });
    expect((await reportsOf(null)).good).toBe(false);
    await dropAll(db);
    await prepare(fleet.deps);
  });

  test("is not what an organization of the first Croupier is without, which isn't called intact; nor is nobody's", async () => {
    const { organization } = legacyRecords("oldest", "oldest@example.com", { admin: null });
    const unplaced = {
      ...organization,
      _id: new ObjectId(),
      organization_name: "older",
      connection_details: undefined,
    };
    await db.collection("organizations").insertMany([organization, unplaced], { ignoreUndefined: true });
    await takeOver(fleet.deps);
    for (const { _id } of [organization, unplaced]) {
      const id = _id.toHexString();
      expect(await reportsOf(id)).toEqual({ good: true, reports: [[id, null, []]] });
    }
    expect((await reportsOf(null)).good).toBe(true);
    const nobody = new ObjectId().toHexString();
    expect(await reportsOf(nobody)).toEqual({ good: false, reports: [[nobody, false, noChain]] });
  });
});

describe("what is removed for its age", () => {
  test("is the oldest only, the chain says where it begins, and what is taken away there is found", async () => {
    const id = await chainOfTwelve();
    expect(await age()).toBeGreaterThanOrEqual(4);
    expect(await age()).toBe(0);
    expect(await reportOf(id)).toMatchObject({ intact: true, entries: 8, first_seq: 5, last_seq: 12 });
    const five = await get(id, 5);
    await drop(id, 5);
    expect((await reportOf(id)).broken).toEqual([found("missing", 5)]);
    await put(id, 5, five, { outcome: "failure" }, true);
    expect((await reportOf(id)).broken).toEqual([found("reordered", 6)]);
  });

  test("doesn't include an old entry behind a newer one", async () => {
    const id = new ObjectId();
    for (const days of [20, 2, 20]) {
      const wanted = { act: "move.start", organizationId: id, at: daysAgo(days) } as const;
      await fleet.deps.audit.append(entryOf(fleet.deps, wanted, "success"));
    }
    await age();
    expect(await age()).toBe(0);
    expect(await reportOf(id)).toMatchObject({ intact: true, entries: 2, first_seq: 2, last_seq: 3 });
  });

  test("may be all of a chain, which goes on where it was", async () => {
    const id = new ObjectId();
    const append = (days: number) =>
      fleet.deps.audit.append(
        entryOf(fleet.deps, { act: "session.sign_in", organizationId: id, at: daysAgo(days) }, "success"),
      );
    for (let n = 0; n < 3; n++) await append(20);
    await age();
    expect(await reportOf(id)).toMatchObject({ intact: true, entries: 0, last_seq: null, last_hash: null });
    await append(0);
    await fleet.deps.audit.flush();
    expect(await reportOf(id)).toMatchObject({ intact: true, entries: 1, first_seq: 4, last_seq: 4 });
  });

  test("goes on where a process died between saying where the chain begins and removing", async () => {
    const id = await chainOfTwelve();
    await beginAfter(db, id.toHexString(), await get(id, 4));
    expect((await reportOf(id)).broken.map(({ problem }) => problem)).toEqual(Array(4).fill("left_over"));
    await age();
    expect(await reportOf(id)).toMatchObject({ intact: true, entries: 8, first_seq: 5 });
  });

  test("is nothing when entries are kept for ever", async () => {
    const id = await chainOfTwelve();
    expect(await retain({ ...fleet.deps, config: { ...fleet.deps.config, auditRetentionDays: 0 } })).toBe(0);
    expect(await reportOf(id)).toMatchObject({ intact: true, entries: 12 });
    expect(await auditPending(db).countDocuments()).toBe(0);
  });
});

test("a chain is intact while it grows and its oldest entries are removed", async () => {
  const id = new ObjectId();
  let growing = true;
  const grow = async () => {
    for (let n = 0; growing; n++) {
      const wanted = { act: "session.sign_in", organizationId: id, at: daysAgo(n < 200 ? 20 : 1) } as const;
      await fleet.deps.audit.append(entryOf(fleet.deps, wanted, "success"));
      if (n % 50 === 49) void age().catch(() => {});
    }
  };
  const grown = grow();
  const deadline = performance.now() + 2_000;
  while (performance.now() < deadline) expect((await reportOf(id)).broken).toEqual([]);
  growing = false;
  await grown;
});
