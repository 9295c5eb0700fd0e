import { createHash } from "node:crypto";
import { isDocument } from "../lib/bson.ts";
import type { Entry } from "./audit.ts";

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
export function canonical(value: unknown): string {
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
