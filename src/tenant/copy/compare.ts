import { createSlice, type Slice } from "../../lib/slices.ts";
import { BSON } from "mongodb";
import { findStored, readBatch } from "./copy.ts";
import type { Deployments } from "../deployments.ts";
import { idOrder, type Position } from "../id-order.ts";
import { isShared, type Placement } from "../placement.ts";
import { exactId } from "./portable.ts";

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

/** The id whose bytes a print has. @throws as `uncarried` */
function idIn(print: string): unknown {
  const colon = print.indexOf(":");
  return exactId(Number(print.slice(0, colon)), Buffer.from(print.slice(colon + 1), "latin1"));
}

/** How far two sides have been compared: everything up to a position at each. */
export type Compared = [Position, Position];
export type Comparison = { at: Compared; documents: number; differing: unknown[] };

/**
 * Compares by content the documents that are next at two placements, some thousand at the most.
 *
 * Both sides come in one order. So what stands before the last pair and has no other half has none at all; what stands after
 * it is read once more. Where there is no pair, the server says which side has documents that the other one lacks.
 *
 * @returns how far they are compared now, and the ids that are on one side only or differ (while the tenant is written to,
 * those of the writes in between); null when nothing is left on either side
 */
export async function compareBatch(
  deployments: Deployments,
  a: Placement,
  b: Placement,
  at: Compared,
): Promise<Comparison | null> {
  // Requests go first, again and again.
  const slice = createSlice(a.key);
  const [left, right] = await Promise.all([
    readPrints(deployments, a, at[0], slice),
    readPrints(deployments, b, at[1], slice),
  ]);
  if (left.length === 0 && right.length === 0) return null;
  let { lefts, rights, differing } = pair(left, right);
  if (lefts === 0 && rights === 0) {
    const isAhead =
      left.length > 0 && right.length > 0 ? await findAfter(deployments, a, idIn(left.at(-1)!.id), right) : null;
    if (!isAhead || isAhead.size > 0) lefts = left.length;
    if (!isAhead || isAhead.size === 0) rights = right.length;
    else rights = right.findIndex(({ id }) => isAhead.has(id));
    differing = [...left.slice(0, lefts), ...right.slice(0, rights)];
  }
  const after = (prints: Print[], count: number, before: Position) =>
    count > 0 ? { id: idIn(prints[count - 1]!.id) } : before;
  return {
    at: [after(left, lefts, at[0]), after(right, rights, at[1])],
    documents: lefts,
    differing: differing.map(({ id }) => idIn(id)),
  };
}

/** How many of each side are decided, up to the last pair, and which of these differ. */
function pair(left: Print[], right: Print[]): { lefts: number; rights: number; differing: Print[] } {
  const places = new Map(right.map(({ id }, index) => [id, index]));
  const differing: Print[] = [];
  let [lefts, rights] = [0, 0];
  for (const [index, one] of left.entries()) {
    const place = places.get(one.id);
    if (place === undefined || place < rights) continue;
    differing.push(...left.slice(lefts, index), ...right.slice(rights, place));
    if (one.hash !== right[place]!.hash) differing.push(one);
    [lefts, rights] = [index + 1, place + 1];
  }
  return { lefts, rights, differing };
}

async function readPrints(
  deployments: Deployments,
  placement: Placement,
  after: Position,
  slice: Slice,
): Promise<Print[]> {
  const batch = await readBatch(deployments, placement, after);
  const prints: Print[] = [];
  for (const bytes of batch) {
    prints.push(printOf(placement, bytes));
    await slice();
  }
  return prints;
}

/** Which of these documents a placement has after an id. */
async function findAfter(
  deployments: Deployments,
  placement: Placement,
  id: unknown,
  prints: Print[],
): Promise<Set<string>> {
  const ids = prints.map((one) => idIn(one.id));
  const found = new Set<string>();
  for (const range of idOrder(placement, 1, { id }).ranges) {
    for await (const batch of findStored(deployments, placement, ids, range)) {
      for (const bytes of batch) found.add(printOf(placement, bytes).id);
    }
  }
  return found;
}

/** Which of these documents differ between two placements, or are at one of them only. */
export async function compareDocuments(
  deployments: Deployments,
  a: Placement,
  b: Placement,
  ids: readonly unknown[],
): Promise<unknown[]> {
  const hashes = async (placement: Placement) => {
    const found = new Map<string, bigint>();
    for await (const batch of findStored(deployments, placement, ids)) {
      for (const one of batch.map((bytes) => printOf(placement, bytes))) found.set(one.id, one.hash);
    }
    return found;
  };
  const [left, right] = await Promise.all([hashes(a), hashes(b)]);
  const all = [...new Set([...left.keys(), ...right.keys()])];
  return all.filter((id) => left.get(id) !== right.get(id)).map(idIn);
}
