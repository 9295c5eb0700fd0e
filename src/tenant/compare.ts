import { exactBson } from "../lib/bson.ts";
import { createSlice, type Slice } from "../lib/slices.ts";
import { BSON, type Db, type Document } from "mongodb";
import { findStored, readBatch } from "./copy.ts";
import type { Position } from "./id-order.ts";
import { isShared, type Placement } from "./placement.ts";
import { readStored } from "./stored.ts";

/** What a document is, apart from where it is: its id as bytes in text, and a hash over all that must be the same on both sides. */
type Print = { id: string; hash: bigint };

const { parseToElements } = BSON.onDemand;
const text = (bytes: Uint8Array, encoding: "utf8" | "latin1") =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString(encoding);

/** Documents of the first Croupier have no version until they are copied or stamped. */
const noMeta = BSON.serialize({ v: 0, h: [] });

/**
 * Prints a stored document as it came from the server, not decoded: types and the order of fields count, where among them
 * Croupier's own stand does not.
 */
function printOf(placement: Placement, bytes: Uint8Array): Print {
  let id = "";
  let meta: Uint8Array = noMeta;
  // The tenant's fields mostly lie together, so that they are hashed as they are.
  const runs: [start: number, end: number][] = [];
  for (const [type, nameOffset, nameLength, offset, length] of parseToElements(bytes)) {
    const own = ownNames.find((name) => isName(bytes, nameOffset, nameLength, name));
    if (own === undefined) {
      const run = runs.at(-1);
      if (run && run[1] === nameOffset - 1) run[1] = offset + length;
      else runs.push([nameOffset - 1, offset + length]);
    } else if (own === "_id") id = idOf(placement, type, bytes.subarray(offset, offset + length));
    else if (own === "_croupier") meta = bytes.subarray(offset, offset + length);
  }
  const parts = runs.map(([start, end]) => bytes.subarray(start, end));
  const fields = parts.length === 1 ? parts[0]! : Buffer.concat(parts);
  return { id, hash: Bun.hash.wyhash(meta, Bun.hash.wyhash(fields)) };
}

const ownNames = ["_id", "tenant_id", "_croupier"];

/** Most names have another length, which is cheaper to look at. */
const isName = (bytes: Uint8Array, offset: number, length: number, name: string): boolean =>
  length === name.length && text(bytes.subarray(offset, offset + length), "latin1") === name;

function idOf(placement: Placement, type: number, value: Uint8Array): string {
  if (!isShared(placement)) return `${type}:${text(value, "latin1")}`;
  for (const [innerType, nameOffset, , offset, length] of parseToElements(value)) {
    if (value[nameOffset] === "i".charCodeAt(0))
      return `${innerType}:${text(value.subarray(offset, offset + length), "latin1")}`;
  }
  return "";
}

/** How far two sides have been compared, and what was found. */
export type Comparison = { documents: number; checksum: bigint; differing: unknown[] };

/**
 * Compares all documents of two placements by content, both in the order of `_id`.
 *
 * @param keepHeld called again and again meanwhile
 * @returns the ids that are on one side only or differ: while the tenant is written to, those of the writes in between
 */
export async function compareAll(
  db: Db,
  a: Placement,
  b: Placement,
  keepHeld: () => Promise<void>,
): Promise<Comparison> {
  // Requests go first, again and again.
  const slice = createSlice(a.key);
  const sides = [sideOf(db, a, slice), sideOf(db, b, slice)];
  const read = () => {
    const reading = Promise.all(sides.map((next) => next()));
    // Whoever waits for it hears of its failure; meanwhile it isn't one that nobody handles.
    reading.catch(() => {});
    return reading;
  };
  // Both sides come in one order, so what waits here for its other half is what differs.
  const unmatched = new Map<string, { hash: bigint; id: () => unknown; side: number }>();
  let [documents, checksum] = [0, 0n];
  const differing: unknown[] = [];
  let reading = read();
  for (;;) {
    const batches = await reading;
    await keepHeld();
    if (batches.every((batch) => batch.length === 0)) break;
    // The next ones are on their way while these are compared.
    reading = read();
    for (const [side, batch] of batches.entries()) {
      for (const { print, id } of batch) {
        const other = unmatched.get(print.id);
        if (other && other.side !== side) {
          unmatched.delete(print.id);
          if (other.hash !== print.hash) differing.push(id());
        } else unmatched.set(print.id, { hash: print.hash, id, side });
        if (side === 0) {
          documents++;
          checksum ^= print.hash;
        }
        await slice();
      }
    }
    // What waits on may wait for long: it must not keep the bytes of a whole batch.
    for (const waiting of unmatched.values()) {
      const id = waiting.id();
      waiting.id = () => id;
    }
    await keepHeld();
  }
  return { documents, checksum, differing: [...differing, ...[...unmatched.values()].map(({ id }) => id())] };
}

type Printed = { print: Print; id: () => unknown };

/** Gives one batch after the other of a side, an empty one at its end. */
function sideOf(db: Db, placement: Placement, slice: Slice): () => Promise<Printed[]> {
  let after: Position = null;
  let ended = false;
  return async () => {
    if (ended) return [];
    const batch = await readBatch<Uint8Array>(db, placement, after, ({ byteLength }) => byteLength, { raw: true });
    const printed: Printed[] = [];
    for (const bytes of batch) {
      printed.push({ print: printOf(placement, bytes), id: () => read(placement, bytes) });
      await slice();
    }
    const last = printed.at(-1);
    if (last) after = { id: last.id() };
    ended = !last;
    return printed;
  };
}

const read = (placement: Placement, bytes: Uint8Array): unknown =>
  readStored(placement, BSON.deserialize(bytes, exactBson) as Document).id;

/** Which of these documents differ between two placements, or are at one of them only. */
export async function compareDocuments(
  db: Db,
  a: Placement,
  b: Placement,
  ids: readonly unknown[],
): Promise<unknown[]> {
  const print = async (placement: Placement) => {
    const found = (await findStored(db, placement, ids, { raw: true })) as unknown as Uint8Array[];
    return new Map(
      found
        .map((bytes) => [printOf(placement, bytes), bytes] as const)
        .map(([one, bytes]) => [one.id, { hash: one.hash, bytes }]),
    );
  };
  const [left, right] = await Promise.all([print(a), print(b)]);
  const differing: unknown[] = [];
  for (const [id, { hash, bytes }] of left) if (right.get(id)?.hash !== hash) differing.push(read(a, bytes));
  for (const [id, { bytes }] of right) if (!left.has(id)) differing.push(read(b, bytes));
  return differing;
}
