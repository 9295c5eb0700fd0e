import { setTimeout as sleep } from "node:timers/promises";
import type { Db } from "mongodb";
import * as z from "zod";
import { platformChain } from "./audit.ts";
import { beginning, type ChainedEntry, isItself, type Link } from "./chain.ts";
import { findHead, findMissing, findNextChain, findStray, type Head, readChain } from "./store.ts";

export type Broken = {
  seq: number;
  /**
   * `altered`: the entry isn't what was hashed. `reordered`: it doesn't follow the one before it, so one of the two was
   * replaced or put elsewhere. `missing`: there is none, and it wasn't old enough to be removed for its age. `cut_off`: the newest are missing, from this one on.
   * `head_differs`: another entry was there when the chain had come to it. `head_missing`: nothing says how far it had come.
   * `rewritten`: another entry was there when its hash was noted elsewhere. `left_over`: it is from before the chain begins, where all were removed for their age. `stray`: it is in no chain.
   * `no_chain`: there is none, not even what is kept of one whose entries are all old, of an organization that has had one;
   * or there is no such organization.
   */
  problem: (typeof problems)[number];
};
const problems = [
  "altered",
  "reordered",
  "missing",
  "cut_off",
  "head_differs",
  "head_missing",
  "rewritten",
  "left_over",
  "stray",
  "no_chain",
] as const;

/**
 * What was found of one chain. Noted elsewhere, `last_hash` shows later whether the chain was rewritten as a whole, and the
 * times whether its beginning was removed before its time.
 */
export type ChainReport = {
  chain: string;
  entries: number;
  first_seq: number | null;
  first_at: string | null;
  last_seq: number | null;
  last_at: string | null;
  last_hash: string | null;
  /** Null: there is no chain, and it needn't be, of an organization of the first Croupier say. That isn't to say it is whole. */
  intact: boolean | null;
  /** The first ones. */
  broken: Broken[];
};

const brokenMax = 20;

/** The place that its id gives an entry, whatever the entry says itself; NaN when that is none. */
const placeOf = ({ _id }: ChainedEntry): number => Number(/\/(\d{12})$/.exec(_id)?.[1] ?? Number.NaN);

export const isChain = (name: string): boolean => name === platformChain || /^[0-9a-f]{24}$/.test(name);

/** Processes that remove entries may be ahead of this one by so much. */
const clocksMs = 60 * 60_000;

/** Whether what was noted is gone from the beginning of its chain though it is to be kept. */
const isKept = ({ at }: Mark, keptSince: Date | null): boolean =>
  keptSince === null || (at !== null && at.getTime() >= keptSince.getTime() + clocksMs);

const isoOf = (at: Date): string | null =>
  at instanceof Date && !Number.isNaN(at.getTime()) ? at.toISOString() : null;

async function check(db: Db, chain: string, head: Head | null, { notes, keptSince }: Expected): Promise<ChainReport> {
  const broken: Broken[] = [];
  let intact = true;
  const found = (seq: number, problem: Broken["problem"]) => {
    intact = false;
    if (broken.length < brokenMax) broken.push({ seq, problem });
  };
  const marks = notes.get(chain) ?? [];
  const noted = Map.groupBy(marks, ({ seq }) => seq);
  const isNoted = ({ seq, hash }: Link) =>
    noted.get(seq)?.every((mark) => mark.hash === null || mark.hash === hash) ?? true;
  let entries = 0;
  let first: { seq: number; at: string | null } | null = null;
  const begins = head?.begins ?? beginning;
  let last: Link = begins;
  let lastAt: string | null = null;
  const gone = marks.filter((mark) => mark.seq <= begins.seq && isKept(mark, keptSince));
  if (gone.length > 0) found(Math.min(...gone.map(({ seq }) => seq)), "missing");
  if (!isNoted(begins)) found(begins.seq, "rewritten");
  for await (const entry of readChain(db, chain)) {
    const seq = placeOf(entry);
    if (Number.isNaN(seq)) found(last.seq, "stray");
    else if (seq <= begins.seq) found(seq, "left_over");
    else {
      if (seq !== last.seq + 1) found(last.seq + 1, "missing");
      else if (entry.previous !== last.hash) found(seq, "reordered");
      if (!isItself(entry)) found(seq, "altered");
      if (head?.seq === seq && head.hash !== entry.hash) found(seq, "head_differs");
      if (!isNoted({ seq, hash: entry.hash })) found(seq, "rewritten");
      entries++;
      last = { seq, hash: entry.hash };
      lastAt = isoOf(entry.at);
      first ??= { seq, at: lastAt };
    }
  }
  if (Math.max(head?.seq ?? 0, ...noted.keys()) > last.seq) found(last.seq + 1, "cut_off");
  if (!head && entries > 0) found(last.seq, "head_missing");
  if (!isChain(chain)) found(last.seq, "stray");
  return {
    chain,
    entries,
    first_seq: first?.seq ?? null,
    first_at: first?.at ?? null,
    last_seq: first && last.seq,
    last_at: lastAt,
    last_hash: first && last.hash,
    intact,
    broken,
  };
}

const triesMax = 3;
const pauseMs = 500;

/** A report of no chain: whether there should be one. */
async function judgeNone(report: ChainReport, { organizations }: Expected): Promise<ChainReport> {
  if (!report.intact) return report;
  const mayBeNone = report.chain === platformChain || (await organizations?.mustHave(report.chain)) === false;
  return mayBeNone
    ? { ...report, intact: null }
    : { ...report, intact: false, broken: [{ seq: 0, problem: "no_chain" }] };
}

/** Checks one chain, also while it grows and its oldest entries are removed for their age. */
async function verifyChain(db: Db, chain: string, expected: Expected): Promise<ChainReport> {
  for (let attempt = 1; ; attempt++) {
    // Read before the entries: it is never ahead of them.
    const head = await findHead(db, chain);
    const checked = await check(db, chain, head, expected);
    const report = head || checked.entries > 0 ? checked : await judgeNone(checked, expected);
    const begins = (await findHead(db, chain))?.begins.seq;
    const isRemoving = begins !== head?.begins.seq || report.broken.some(({ problem }) => problem === "left_over");
    const mayHeal = isRemoving || report.broken.some(({ problem }) => problem === "no_chain");
    if (report.intact !== false || !mayHeal || attempt === triesMax) return report;
    await sleep(pauseMs);
  }
}

/** A place that a chain had, with what was noted of it. */
type Mark = { seq: number; hash: string | null; at: Date | null };
/** What earlier reports say of the first and the last entry of each chain, by its name. */
export type Notes = ReadonlyMap<string, readonly Mark[]>;

/** Which organizations must have a chain. */
export type Chained = {
  /** Null: there is no such organization. */
  mustHave(id: string): Promise<boolean | null>;
  /** Some at a time, also such as turn out to need none yet. */
  all(): AsyncIterable<string[]>;
};

export type Expected = {
  /** Without, a chain of which nothing is there is missed only where it is asked for. */
  organizations?: Chained;
  notes: Notes;
  /** From when on entries are kept; null: all are, from the first on. */
  keptSince: Date | null;
};

const time = z.iso.datetime().nullable().default(null);
/** The times are not in the reports of older versions. */
const noteSchema = z.object({
  chain: z.string(),
  first_seq: z.int().nullable().default(null),
  first_at: time,
  last_seq: z.int().nullable(),
  last_at: time,
  last_hash: z.string().nullable(),
});

/** Reads earlier reports, one JSON object a line; of one chain there may be several. @throws Error when it is none */
export function readNotes(text: string): Notes {
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  const notes = lines.map((line, index) => {
    try {
      return noteSchema.parse(JSON.parse(line));
    } catch {
      throw new Error(`line ${index + 1} is not one that "audit verify" prints`);
    }
  });
  const mark = (seq: number | null, hash: string | null, at: string | null): Mark[] =>
    seq === null ? [] : [{ seq, hash, at: at === null ? null : new Date(at) }];
  const byChain = Map.groupBy(notes, ({ chain }) => chain);
  return new Map(
    [...byChain].map(([chain, of]) => [
      chain,
      of.flatMap((note) => [
        ...mark(note.first_seq, null, note.first_at),
        ...mark(note.last_seq, note.last_hash, note.last_at),
      ]),
    ]),
  );
}

/**
 * Checks every chain of the record, or one, and reports each. Reads a few entries at a time, however many there are.
 *
 * @param expected `notes`: what earlier reports said, kept where whoever writes to the database can't: what they name has to
 *   be there still, unless it is older than entries are kept
 * @returns whether all are intact, or not there and needn't be
 */
export async function verify(
  { db }: { db: Db },
  chain: string | null,
  report: (chain: ChainReport) => void,
  expected: Expected = { notes: new Map(), keptSince: null },
): Promise<boolean> {
  let intact = true;
  const tell = (one: ChainReport) => {
    intact &&= one.intact !== false;
    report(one);
  };
  const examine = async (name: string) => tell(await verifyChain(db, name, expected));
  if (chain !== null) {
    await examine(chain);
    return intact;
  }
  const gone = new Set(expected.notes.keys());
  for (let name = await findNextChain(db, null); name !== null; name = await findNextChain(db, name)) {
    gone.delete(name);
    await examine(name);
  }
  for (const name of gone) await examine(name);
  for await (const names of expected.organizations?.all() ?? []) {
    for (const name of await findMissing(db, names)) {
      if (!gone.has(name) && (await expected.organizations?.mustHave(name))) await examine(name);
    }
  }
  const stray = await findStray(db);
  const nowhere = { first_seq: null, first_at: null, last_seq: null, last_at: null, last_hash: null };
  if (stray) tell({ chain: "none", entries: 0, ...nowhere, intact: false, broken: [{ seq: 0, problem: "stray" }] });
  return intact;
}
