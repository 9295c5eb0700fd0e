import { createHash } from "node:crypto";
import * as z from "zod";
import { isDocument } from "../lib/bson/bson.ts";
import { type Entry, outcomes, whoKinds } from "./audit.ts";

/** An entry in its place. `hash` is made of all the rest, `previous` (the hash of the entry before) included. */
export type ChainedEntry = Entry & { _id: string; v: 1; seq: number; previous: string; hash: string };

/** An entry's place in its chain and its hash: what the next one is joined to. */
export type Link = { seq: number; hash: string };

/** What the first entry of a chain is joined to. */
export const beginning: Link = { seq: 0, hash: "0".repeat(64) };

const seqDigits = 12;
/** One place, one id: so the index of `_id` lets nobody take a place twice, and sorts a chain. */
export const idOf = (chain: string, seq: number): string => `${chain}/${String(seq).padStart(seqDigits, "0")}`;

/**
 * The one text of a value: JSON with the fields in the order of their names and nothing between (RFC 8785), a time as
 * `{"$date":"2026-11-24T09:30:00.000Z"}`.
 *
 * @throws TypeError for what no entry holds
 */
function canonical(value: unknown): string {
  if (value instanceof Date) return `{"$date":${JSON.stringify(value.toISOString())}}`;
  if (isDocument(value)) {
    const fields = Object.keys(value).sort();
    return `{${fields.map((name) => `${JSON.stringify(name)}:${canonical(value[name])}`).join()}}`;
  }
  const isPlain = value === null || typeof value === "string" || typeof value === "boolean" || Number.isFinite(value);
  if (!isPlain) throw new TypeError("An entry holds texts, numbers, truth values and times");
  return JSON.stringify(value);
}

/** SHA-256 of the whole entry but for its id, which says nothing more than chain and place, and the hash itself. */
export function hashOf({ _id, hash: _hash, ...rest }: Omit<ChainedEntry, "hash"> & { hash?: string }): string {
  return createHash("sha256").update(canonical(rest)).digest("hex");
}

const text = z.string();
/** Acts that this version doesn't know are none the less what was written. */
const shape = z.strictObject({
  _id: text,
  v: z.literal(1),
  chain: text,
  seq: z.int(),
  at: z.date(),
  act_id: text,
  act: text,
  outcome: z.enum(outcomes),
  who: z.strictObject({ kind: z.enum(whoKinds), id: text.nullable() }),
  address: text.nullable(),
  request_id: text.nullable(),
  details: z.record(text, z.union([text, z.number(), z.boolean()])),
  previous: text,
  hash: text,
});

/**
 * Whether an entry is what was hashed, in its place. Its types count too: `{$date: "…"}` in the place of a time has the same
 * canonical text, but is found by no query for times.
 */
export const isItself = (entry: ChainedEntry): boolean =>
  shape.safeParse(entry).success && entry._id === idOf(entry.chain, entry.seq) && hashOf(entry) === entry.hash;

/** Joins entries of one chain to what is there, in their order. */
export function join({ seq, hash }: Link, entries: readonly Entry[]): ChainedEntry[] {
  let previous = hash;
  return entries.map((entry, index) => {
    const place = seq + index + 1;
    const joined = { ...entry, _id: idOf(entry.chain, place), v: 1 as const, seq: place, previous };
    previous = hashOf(joined);
    return { ...joined, hash: previous };
  });
}
