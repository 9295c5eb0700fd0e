import { setTimeout as sleep } from "node:timers/promises";
import type { Db } from "mongodb";
import * as z from "zod";
import { platformChain } from "./audit.ts";
import { beginning, type ChainedEntry, isItself, type Link } from "./chain.ts";
import { findHead, findNextChain, findStray, type Head, readChain } from "./store.ts";

export type Broken = {
  seq: number;
  /**
   * `altered`: the entry isn't what was hashed. `reordered`: it doesn't follow the one before it, so one of the two was
   * replaced or put elsewhere. `missing`: there is none. `cut_off`: the newest are missing, from this one on.
   * `head_differs`: another entry was there when the chain had come to it. `head_missing`: nothing says how far it had come.
   * `rewritten`: another entry was there when its hash was noted elsewhere. `left_over`: it is from before the chain begins, where all were removed for their age. `stray`: it is in no chain.
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
] as const;

/** What was found of one chain. `last_hash`, noted elsewhere, shows later whether the chain was rewritten as a whole. */
export type ChainReport = {
  chain: string;
  entries: number;
  first_seq: number | null;
  last_seq: number | null;
  last_hash: string | null;
  intact: boolean;
  /** The first ones. */
  broken: Broken[];
};

const brokenMax = 20;

/** The place that its id gives an entry, whatever the entry says itself; NaN when that is none. */
const placeOf = ({ _id }: ChainedEntry): number => Number(/\/(\d{12})$/.exec(_id)?.[1] ?? Number.NaN);

export const isChain = (name: string): boolean => name === platformChain || /^[0-9a-f]{24}$/.test(name);

async function check(db: Db, chain: string, head: Head | null, noted: Link | undefined): Promise<ChainReport> {
  const broken: Broken[] = [];
  let intact = true;
  const found = (seq: number, problem: Broken["problem"]) => {
    intact = false;
    if (broken.length < brokenMax) broken.push({ seq, problem });
  };
  let entries = 0;
  let first: Link | null = null;
  const begins = head?.begins ?? beginning;
  let last: Link = begins;
  for await (const entry of readChain(db, chain)) {
    const seq = placeOf(entry);
    if (Number.isNaN(seq)) found(last.seq, "stray");
    else if (seq <= begins.seq) found(seq, "left_over");
    else {
      if (seq !== last.seq + 1) found(last.seq + 1, "missing");
      else if (entry.previous !== last.hash) found(seq, "reordered");
      if (!isItself(entry)) found(seq, "altered");
      if (head?.seq === seq && head.hash !== entry.hash) found(seq, "head_differs");
      if (noted?.seq === seq && noted.hash !== entry.hash) found(seq, "rewritten");
      entries++;
      last = { seq, hash: entry.hash };
      first ??= last;
    }
  }
  if (Math.max(head?.seq ?? 0, noted?.seq ?? 0) > last.seq) found(last.seq + 1, "cut_off");
  if (!head && entries > 0) found(last.seq, "head_missing");
  if (!isChain(chain)) found(last.seq, "stray");
  return {
    chain,
    entries,
    first_seq: first?.seq ?? null,
    last_seq: first && last.seq,
    last_hash: first && last.hash,
    intact,
    broken,
  };
}

const triesMax = 3;
const pauseMs = 500;

/** Checks one chain, also while it grows and its oldest entries are removed for their age. */
async function verifyChain(db: Db, chain: string, noted: Link | undefined): Promise<ChainReport> {
  for (let attempt = 1; ; attempt++) {
    // Read before the entries: it is never ahead of them.
    const head = await findHead(db, chain);
    const report = await check(db, chain, head, noted);
    const begins = (await findHead(db, chain))?.begins.seq;
    const isRemoving = begins !== head?.begins.seq || report.broken.some(({ problem }) => problem === "left_over");
    if (report.intact || !isRemoving || attempt === triesMax) return report;
    await sleep(pauseMs);
  }
}

/** The last entry of each chain, by its name, as an earlier report says. */
export type Notes = ReadonlyMap<string, Link>;

const noteSchema = z.object({ chain: z.string(), last_seq: z.int().nullable(), last_hash: z.string().nullable() });

/** Reads an earlier report, one JSON object a line. @throws Error when it is none */
export function readNotes(text: string): Notes {
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  const notes = lines.map((line, index) => {
    try {
      return noteSchema.parse(JSON.parse(line));
    } catch {
      throw new Error(`line ${index + 1} is not one that "audit verify" prints`);
    }
  });
  return new Map(
    notes.flatMap(({ chain, last_seq: seq, last_hash: hash }) =>
      seq === null || hash === null ? [] : [[chain, { seq, hash }]],
    ),
  );
}

/**
 * Checks every chain of the record, or one, and reports each. Reads a few entries at a time, however many there are.
 *
 * @param notes what an earlier report said, kept where whoever writes to the database can't: what it names has to be there still
 * @returns whether all are intact
 */
export async function verify(
  { db }: { db: Db },
  chain: string | null,
  report: (chain: ChainReport) => void,
  notes: Notes = new Map(),
): Promise<boolean> {
  let intact = true;
  const tell = (one: ChainReport) => {
    intact &&= one.intact;
    report(one);
  };
  const examine = async (name: string) => tell(await verifyChain(db, name, notes.get(name)));
  if (chain !== null) {
    await examine(chain);
    return intact;
  }
  const gone = new Set(notes.keys());
  for (let name = await findNextChain(db, null); name !== null; name = await findNextChain(db, name)) {
    gone.delete(name);
    await examine(name);
  }
  for (const name of gone) await examine(name);
  const stray = await findStray(db);
  const none = { chain: "none", entries: 0, first_seq: null, last_seq: null, last_hash: null, intact: false };
  if (stray) tell({ ...none, broken: [{ seq: 0, problem: "stray" }] });
  return intact;
}
