import type { Db, ObjectId } from "mongodb";
import { compareDocuments } from "./compare.ts";
import { copyDocuments } from "./copy.ts";
import { idKey } from "../document-id.ts";
import { countNotes, findNotes, type Note, settleNotes, writeNotes } from "./journal.ts";
import type { Deployments } from "../deployments.ts";
import type { Placement } from "../placement.ts";

/** So many notes the gate can work off in the time that it has. */
export const notesInGateMax = 2_000;
/** So many notes are looked at together. */
const seenMax = 10_000;
const copyMax = 500;

type DrainDeps = { db: Db; deployments: Deployments };
/** `verified`: both sides have been compared as a whole, and what is copied from then on is compared by itself. */
type Sides = { source: Placement; stage: Placement; operationId: ObjectId; verified: boolean };
type Lease = { assertHeld(): void; keepHeld(): Promise<void>; proveHeld(): Promise<void> };

/**
 * Copies the documents that notes name, each document's together, and removes these. A document that is not done, as a unique
 * index refused it or as it differs once more, is noted anew: it comes again, after the others.
 *
 * What is there at the end of a move rests on this: each document was equal in the comparison of everything and has not been
 * noted since, or it was equal after its last note was worked off. So everything is compared once only, however much is
 * written, and there is no list of what is in doubt but the notes.
 *
 * Before notes go it has to be shown that nobody had taken over when the documents were copied. A driver that was overtaken
 * copies into a place that nobody will ever see, and the one that overtook it needs the notes.
 *
 * @returns how many documents were not done
 */
async function workOff(deps: DrainDeps, sides: Sides, notes: Note[][], lease: Lease): Promise<number> {
  const { db, deployments } = deps;
  const { source, stage, verified } = sides;
  const ids = notes.map(([first]) => first!.id);
  await lease.keepHeld();
  const refused = await copyDocuments(deployments, source, stage, ids, lease.assertHeld);
  const differing = verified ? await compareDocuments(deployments, source, stage, ids) : [];
  await lease.proveHeld();
  const undone = new Map([...refused, ...differing].map((id) => [idKey(id), id]));
  await writeNotes(db, sides.operationId, [...undone.values()]);
  await settleNotes(
    db,
    notes.flat().map(({ _id }) => _id),
  );
  return undone.size;
}

/** The notes of some documents at a time. */
function* parts(notes: Note[]): Generator<Note[][]> {
  const all = [...Map.groupBy(notes, ({ id }) => idKey(id)).values()];
  for (let start = 0; start < all.length; start += copyMax) yield all.slice(start, start + copyMax);
}

/**
 * Works off what writers noted, for about `forMs` or until so few notes are left that the gate can have them. A note counts
 * only when its document was copied at least one lease after the note was seen (protocol: rule 4): before that the write it
 * announces may not have taken effect yet.
 *
 * @param leasesLastMs how long a lease of those who wrote notes may last; asked for when these have been seen
 * @returns how many notes are left
 */
export async function drain(
  deps: DrainDeps,
  sides: Sides,
  leasesLastMs: () => Promise<number>,
  forMs: number,
  lease: Lease,
): Promise<number> {
  const seenMs = new Map<string, number>();
  const untilMs = performance.now() + (await leasesLastMs()) + forMs;
  for (;;) {
    const notes = await findNotes(deps.db, sides.operationId, seenMax, null);
    const nowMs = performance.now();
    for (const { _id } of notes) if (!seenMs.has(_id.toHexString())) seenMs.set(_id.toHexString(), nowMs);
    const leaseMs = await leasesLastMs();
    const ripe = notes.filter(({ _id }) => seenMs.get(_id.toHexString())! + leaseMs <= nowMs);
    for (const some of parts(ripe)) {
      await workOff(deps, sides, some, lease);
      if (performance.now() > untilMs) break;
    }
    if (notes.length <= notesInGateMax && ripe.length < copyMax / 2) return notes.length;
    if (performance.now() > untilMs) return await countNotes(deps.db, sides.operationId);
    if (ripe.length === 0) await Bun.sleep(leaseMs / 4);
    await lease.keepHeld();
  }
}

/**
 * Works off all notes, behind the gate, where nobody writes any more who will be told so. @returns how many there were
 *
 * @throws Error when it takes too long, or when documents differ however often they are copied
 */
export async function drainAll(deps: DrainDeps, sides: Sides, deadlineMs: number, lease: Lease): Promise<number> {
  for (let [count, before] = [0, Number.POSITIVE_INFINITY]; ;) {
    const notes = await findNotes(deps.db, sides.operationId, seenMax, null);
    if (notes.length === 0) return count;
    let undone = 0;
    for (const some of parts(notes)) {
      if (performance.now() > deadlineMs) throw gateTooLong();
      undone += await workOff(deps, sides, some, lease);
    }
    // What takes effect late may come between a copy and its comparison once, and not again.
    if (undone >= before) throw new Error(`source and copy differ in ${undone} documents`);
    [count, before] = [count + notes.length, undone || before];
  }
}

/** Writers come first: what a limit of its own ends is a failure of the move, and counts. */
export const gateTooLong = (cause?: unknown): Error =>
  new Error("the gate was closed for too long and was opened again for writers", { cause });
