import { type Collection, type Db, type Filter, MongoBulkWriteError } from "mongodb";
import {
  hasErrorCode,
  isDuplicateId,
  isDuplicateKey,
  isRivalry,
  majority,
  retryDeadlock,
  buildIndexes,
  within,
} from "../lib/mongo/mongo.ts";
import { type Act, acts as allActs, type Entry, type Outcome, outcomes } from "./audit.ts";
import { beginning, type ChainedEntry, idOf, type Link } from "./chain.ts";

export const auditEntries = (db: Db): Collection<ChainedEntry> => db.collection("audit_entries");

/**
 * What is known of a chain beside its entries: one that was its last (there may be later ones, never fewer), and where it
 * begins since older ones were removed for their age.
 */
export type Head = Link & { _id: string; begins: Link };
export const auditHeads = (db: Db): Collection<Head> => db.collection("audit_heads");

/** An entry of an act that has perhaps not happened yet, by its `act_id`; `outcome` is what to believe when nobody says. */
export type Pending = Omit<Entry, "act_id"> & { _id: string; pending_since: Date };
export const auditPending = (db: Db): Collection<Pending> => db.collection("audit_pending");

const actIndex = "act_id_1";

export async function createAuditIndexes(db: Db): Promise<void> {
  await buildIndexes(auditEntries(db), [
    { key: { act_id: 1 }, name: actIndex, unique: true },
    { key: { chain: 1, at: -1, _id: -1 } },
    { key: { at: -1, _id: -1 } },
    // By act or outcome, of all and of one chain.
    { key: { act: 1, outcome: 1, at: -1, _id: -1 } },
    { key: { chain: 1, act: 1, outcome: 1, at: -1, _id: -1 } },
  ]);
  await buildIndexes(auditPending(db), [{ key: { pending_since: 1 } }]);
}

/** The places of a chain from one to another, both included, as ids. */
const places = (chain: string, from: number, to?: number): Filter<ChainedEntry> => ({
  // What comes after the slash is the sign that follows it.
  _id: { $gte: idOf(chain, from), ...(to === undefined ? { $lt: `${chain}0` } : { $lte: idOf(chain, to) }) },
});

export type Inserted = { count: number; then: "done" | "place_taken" | "recorded" | "rivalry" };

/**
 * Inserts entries in their order up to the first that can't be: `then` says why, its place is taken or its act is recorded.
 *
 * @returns how many are in, the first ones
 */
export async function insertInOrder(db: Db, entries: ChainedEntry[]): Promise<Inserted> {
  try {
    await auditEntries(db).insertMany(entries, { ordered: true, ...within() });
    return { count: entries.length, then: "done" };
  } catch (error) {
    const write = error instanceof MongoBulkWriteError ? [error.writeErrors].flat()[0] : undefined;
    const cause: unknown = write ?? error;
    const count = write?.index ?? 0;
    if (isRivalry(cause)) return { count, then: "rivalry" };
    if (!hasErrorCode(cause, 11000)) throw error;
    if (isDuplicateKey(cause, actIndex)) return { count, then: "recorded" };
    if (isDuplicateId(cause)) return { count, then: "place_taken" };
    throw error;
  }
}

const findLast = (db: Db, chain: string): Promise<ChainedEntry | null> =>
  auditEntries(db).findOne(places(chain, 0), { sort: { _id: -1 }, ...majority, ...within() });

export const findHead = (db: Db, chain: string): Promise<Head | null> =>
  auditHeads(db).findOne({ _id: chain }, { ...majority, ...within() });

/**
 * What the next entry of a chain is joined to. Never to less than its head: when the newest entries are missing, that is
 * a gap for all to see. Only what the majority has: a change of the primary takes nothing of it back.
 */
export async function readEnd(db: Db, chain: string): Promise<Link> {
  const [head, last] = await Promise.all([findHead(db, chain), findLast(db, chain)]);
  // A chain has a head before it has entries; one that has lost it doesn't get another.
  if (!head && !last) await startChain(db, chain);
  const { seq, hash } = head && head.seq > (last?.seq ?? 0) ? head : (last ?? beginning);
  return { seq, hash };
}

async function startChain(db: Db, chain: string): Promise<void> {
  try {
    await auditHeads(db).insertOne({ _id: chain, ...beginning, begins: beginning }, within());
  } catch (error) {
    if (!isDuplicateId(error)) throw error;
  }
}

/** Notes that a chain has come to this entry; one that is further stays. */
export async function raiseHead(db: Db, chain: string, { seq, hash }: Link): Promise<void> {
  await retryDeadlock(() =>
    auditHeads(db).updateOne({ _id: chain, seq: { $lt: seq } }, { $set: { seq, hash } }, within()),
  );
}

/** Keeps an act in mind that is about to be done. */
export async function writePending(db: Db, { act_id, ...entry }: Entry, since: Date): Promise<void> {
  await auditPending(db).insertOne({ ...entry, _id: act_id, pending_since: since }, within());
}

export async function removePending(db: Db, actId: string): Promise<void> {
  await auditPending(db).deleteOne({ _id: actId }, within());
}

/** Acts that nobody has said the end of since. */
export const findPending = (db: Db, before: Date, limit: number): Promise<Pending[]> =>
  auditPending(db)
    .find({ pending_since: { $lt: before } }, { sort: { pending_since: 1 }, limit, ...majority, ...within() })
    .toArray();

/** Some of the chains that have entries from before a time. */
export async function findChainsOlderThan(db: Db, before: Date, limit: number): Promise<string[]> {
  const found = await auditEntries(db)
    .aggregate<{ _id: string }>(
      [
        { $match: { at: { $lt: before } } },
        { $sort: { at: 1 } },
        { $limit: limit },
        { $project: { chain: 1 } },
        { $group: { _id: "$chain" } },
      ],
      within(60_000),
    )
    .toArray();
  return found.map(({ _id }) => _id);
}

/** The first entries that there are of a chain, without what was done. */
export const findFirst = (
  db: Db,
  chain: string,
  limit: number,
): Promise<Pick<ChainedEntry, "_id" | "seq" | "hash" | "at">[]> =>
  auditEntries(db)
    .find(places(chain, 0), {
      sort: { _id: 1 },
      limit,
      projection: { seq: 1, hash: 1, at: 1 },
      ...majority,
      ...within(60_000),
    })
    .toArray();

/** Lets a chain begin after this entry, which has to go then; one that begins later stays so. */
export async function beginAfter(db: Db, chain: string, { seq, hash }: Link): Promise<void> {
  await raiseHead(db, chain, { seq, hash });
  const begins = { seq, hash };
  await retryDeadlock(() =>
    auditHeads(db).updateOne({ _id: chain, "begins.seq": { $lt: seq } }, { $set: { begins } }, within()),
  );
}

export async function removeUpTo(db: Db, chain: string, seq: number): Promise<number> {
  return (await auditEntries(db).deleteMany(places(chain, 0, seq), within(60_000))).deletedCount;
}

/** The chain that comes after another in the order of their names, by its entries or its head; null when none does. */
export async function findNextChain(db: Db, after: string | null): Promise<string | null> {
  const [entry, head] = await Promise.all([
    auditEntries(db).findOne(after === null ? {} : { _id: { $gte: `${after}0` } }, { sort: { _id: 1 }, ...within() }),
    auditHeads(db).findOne(after === null ? {} : { _id: { $gt: after } }, { sort: { _id: 1 }, ...within() }),
  ]);
  const names = [entry && String(entry._id).split("/")[0]!, head && String(head._id)].filter((name) => name !== null);
  return names.sort()[0] ?? null;
}

/** Those of some chains of which there is no head and no entry. */
export async function findMissing(db: Db, chains: readonly string[]): Promise<string[]> {
  const heads = auditHeads(db).find({ _id: { $in: [...chains] } }, { projection: { _id: 1 }, ...within() });
  const headed = new Set((await heads.toArray()).map(({ _id }) => _id));
  const missing: string[] = [];
  for (const chain of chains) if (!headed.has(chain) && !(await findLast(db, chain))) missing.push(chain);
  return missing;
}

/** The entries of a chain in the order of their places, as they are stored; a few at a time. */
export async function* readChain(db: Db, chain: string): AsyncGenerator<ChainedEntry> {
  const batch = 500;
  for (let place: Filter<ChainedEntry> = { _id: { $gte: `${chain}/`, $lt: `${chain}0` } }; ;) {
    const read = await auditEntries(db)
      .find(place, { sort: { _id: 1 }, limit: batch, ...majority, ...within(30_000) })
      .toArray();
    yield* read;
    if (read.length < batch) return;
    place = { _id: { $gt: read.at(-1)!._id, $lt: `${chain}0` } };
  }
}

export type AuditQuery = {
  chain?: string;
  acts?: readonly Act[];
  outcome?: Outcome;
  from?: Date;
  to?: Date;
  after?: { at: Date; id: string };
  limit: number;
};

/** Entries, the newest first: by their time, and those of one time by their place. */
export const listEntries = (db: Db, query: AuditQuery): Promise<ChainedEntry[]> => {
  const { chain, acts, outcome, from, to, after, limit } = query;
  const parts: Filter<ChainedEntry>[] = [];
  if (from) parts.push({ at: { $gte: from } });
  if (to) parts.push({ at: { $lt: to } });
  if (after) parts.push({ at: { $lte: after.at } }, { $or: [{ at: { $lt: after.at } }, { _id: { $lt: after.id } }] });
  const filter: Filter<ChainedEntry> = {
    ...(chain !== undefined && { chain }),
    // An index has both, and of each pair its own newest, which the database brings together.
    ...((acts || outcome) && {
      act: { $in: [...(acts ?? allActs)] },
      outcome: { $in: outcome ? [outcome] : outcomes },
    }),
    ...(parts.length > 0 && { $and: parts }),
  };
  return auditEntries(db)
    .find(filter, { sort: { at: -1, _id: -1 }, limit, ...within() })
    .toArray();
};

/** An entry that is in no chain, by its id; null when there is none. */
export const findStray = (db: Db): Promise<ChainedEntry | null> =>
  auditEntries(db).findOne({ _id: { $not: { $type: "string" } } } as Filter<ChainedEntry>, within(60_000));
