import type { Db, ObjectId } from "mongodb";
import { copyDocuments } from "./copy.ts";
import { findNotes, type Note, settleNotes } from "./journal.ts";
import { idKey } from "./document-id.ts";
import type { Placement } from "./placement.ts";

const passMax = 2_000;
const copyMax = 500;

type Sides = { source: Placement; stage: Placement; operationId: ObjectId };
type Lease = { assertHeld(): void; keepHeld(): Promise<void>; proveHeld(): Promise<void> };

/**
 * Copies what notes name and removes those notes, but for the documents that a unique index refused: they come again.
 *
 * In between it has to be shown that nobody had taken over when the documents were copied. A driver that was overtaken
 * copies into a place that nobody will ever see, and the one that overtook it needs the notes.
 */
async function workOff(db: Db, { source, stage }: Sides, notes: Note[], lease: Lease): Promise<unknown[]> {
  const worked: unknown[] = [];
  for (let start = 0; start < notes.length; start += copyMax) {
    const some = notes.slice(start, start + copyMax);
    const ids = distinct(some.map(({ id }) => id));
    await lease.keepHeld();
    const refused = new Set((await copyDocuments(db, source, stage, ids, lease.assertHeld)).map(idKey));
    await lease.proveHeld();
    await settleNotes(
      db,
      some.filter(({ id }) => !refused.has(idKey(id))).map(({ _id }) => _id),
    );
    worked.push(...ids);
  }
  return worked;
}

function distinct(ids: unknown[]): unknown[] {
  return [...new Map(ids.map((id) => [idKey(id), id])).values()];
}

/**
 * Works off what writers noted, until few notes are left. A note counts only when its document was copied at least one
 * lease after the note was seen (spec: rule 4): before that the write it announces may not have taken effect yet.
 *
 * @param leasesLastMs how long a lease of those who wrote notes may last; asked for when these have been seen
 */
export async function drain(db: Db, sides: Sides, leasesLastMs: () => Promise<number>, lease: Lease): Promise<void> {
  const seenMs = new Map<string, number>();
  for (;;) {
    const notes = await findNotes(db, sides.operationId, passMax, null);
    const nowMs = performance.now();
    for (const { _id } of notes) if (!seenMs.has(_id.toHexString())) seenMs.set(_id.toHexString(), nowMs);
    const leaseMs = await leasesLastMs();
    const ripe = notes.filter(({ _id }) => seenMs.get(_id.toHexString())! + leaseMs <= nowMs);
    await workOff(db, sides, ripe, lease);
    for (const { _id } of ripe) seenMs.delete(_id.toHexString());
    if (notes.length < passMax && ripe.length < copyMax / 2) return;
    if (ripe.length === 0) await Bun.sleep(leaseMs / 4);
    await lease.keepHeld();
  }
}

/** Works off all notes, behind the gate, where nobody writes any more who will be told so. @returns the ids that it touched */
export async function drainAll(db: Db, sides: Sides, deadlineMs: number, lease: Lease): Promise<unknown[]> {
  const touched: unknown[] = [];
  for (;;) {
    const notes = await findNotes(db, sides.operationId, passMax, null);
    if (notes.length === 0) return distinct(touched);
    touched.push(...(await workOff(db, sides, notes, lease)));
    if (performance.now() > deadlineMs) throw new Error("the gate was closed for too long: writers come first");
  }
}
