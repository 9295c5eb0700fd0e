import { ObjectId } from "mongodb";
import { isKnown } from "../operation/known.ts";
import { driveAbandoned } from "../operation/drive.ts";
import { run } from "../operation/run.ts";
import { findById as findOperation, findOpen } from "../operation/store.ts";
import * as guarded from "../organization/guarded.ts";
import { discardLeftover, failedProvision } from "../organization/leftovers.ts";
import { isEstablished } from "../organization/organization.ts";
import * as organizationStore from "../organization/store.ts";
import { damagedRecords } from "../takeover/inspect.ts";
import { removeNotes } from "../tenant/copy/journal.ts";
import { placeKey } from "../tenant/placement.ts";
import type { DoctorDeps, Symptom } from "./finding.ts";
import { heldInVain, type Known, type Page } from "./known.ts";

/** So long after a lease has run out, or a place was to be looked at once more, some worker ought to have come. */
const overdueMs = 60_000;
/** A claim of another doctor that runs is not touched. */
const claimMsMax = 10 * 60_000;

/** What is damaged in the records themselves; see `croupier inspect`. */
export const examineRecords = (deps: DoctorDeps): Promise<Symptom[]> =>
  // Collections are looked at elsewhere, in all databases.
  Array.fromAsync(damagedRecords(deps), (finding) => ({ finding }));

/** So long the doctor drives an operation that nobody drove; a move may take longer, and goes on from there. */
const driveMsMax = 10 * 60_000;

/** One that goes on in spite of its errors does so in less. */
const failingMs = 10 * 60_000;

/**
 * Operations that don't go on. Whether one that has stopped, or will, is resumed or cancelled is for an operator to say. What is
 * open under this doctor's own name is what it took over and couldn't finish: while it looks it drives nothing.
 */
export function examineOperations(deps: DoctorDeps, { operations }: Known): Symptom[] {
  const { db, now, owner } = deps;
  return operations.flatMap((operation): Symptom[] => {
    const { _id, organization_id, kind, step, status, attempts = 0, lease, error, created_at } = operation;
    const which = { operation_id: _id.toHexString(), organization_id: organization_id.toHexString(), kind, step };
    if (!isKnown(deps.flows, operation)) return [{ finding: { finding: "operation_unknown", ...which } }];
    if (status === "stopped") return [{ finding: { finding: "operation_stopped", ...which, attempts } }];
    const isOverdue = lease.until.getTime() + overdueMs < now().getTime();
    if (!isOverdue && lease.owner !== owner) {
      const failing = attempts > 1 || (error !== null && created_at.getTime() + failingMs < now().getTime());
      return failing ? [{ finding: { finding: "operation_failing", ...which, attempts } }] : [];
    }
    // One that a worker has taken over meanwhile is left to it.
    const mend = async () => {
      await driveAbandoned(deps, driveMsMax, undefined, { organization_id });
      const left = await findOperation(db, _id);
      if (left?.open) throw new Error(left.error?.message ?? "not at its end yet");
    };
    return [{ finding: { finding: "operation_abandoned", ...which }, mend }];
  });
}

/** Notes of moves that have ended. An operation that has ended never begins again, so nobody will work them off. */
export async function examineNotes({ db }: DoctorDeps, moves: readonly ObjectId[], known: Known): Promise<Symptom[]> {
  const open = new Set(known.operations.map(({ _id }) => _id.toHexString()));
  return moves
    .filter((id) => !open.has(id.toHexString()))
    .map((id) => ({
      finding: { finding: "notes_of_ended_move", operation_id: id.toHexString() },
      mend: async () => {
        if (!(await findOperation(db, id))?.open) await removeNotes(db, id);
      },
    }));
}

/** Organizations that are not as they should be when no operation of theirs is under way. */
export async function examineOrganizations(deps: DoctorDeps, { known, organizations }: Page): Promise<Symptom[]> {
  const { db } = deps;
  const half = organizations.filter((one) => !isEstablished(one) && !known.isBusy(one._id.toHexString()));
  const discardable = new Set<string>();
  for (const { _id } of half) if (await failedProvision(deps, _id)) discardable.add(_id.toHexString());
  const open = new Set(known.operations.map(({ _id }) => _id.toHexString()));
  return organizations.flatMap((organization): Symptom[] => {
    const { _id, status, move, created_at } = organization;
    const organization_id = _id.toHexString();
    if (organizationStore.isClaim(organization)) {
      const isOld = created_at.getTime() + claimMsMax < deps.now().getTime();
      const mend = () => organizationStore.removeRecord(db, _id);
      return isOld ? [{ finding: { finding: "organization_unfinished", organization_id, status }, mend }] : [];
    }
    const symptoms: Symptom[] = [];
    if (move && !open.has(move.operation_id.toHexString())) {
      const mend = async () => {
        if (!(await findOperation(db, move.operation_id))?.open) {
          await guarded.endDeadMove(db, _id, move.operation_id);
        }
      };
      const operation_id = move.operation_id.toHexString();
      symptoms.push({ finding: { finding: "move_of_ended_operation", organization_id, operation_id }, mend });
    }
    if (known.isBusy(organization_id)) return symptoms;
    if (status === "provisioning" || status === "deleting") {
      const mend = async () => void (await discardLeftover(deps, _id, driveMsMax));
      const finding = { finding: "organization_unfinished", organization_id, status } as const;
      symptoms.push({ finding, ...(discardable.has(organization_id) && { mend }) });
    }
    // A version before held those that it had left until they were swept.
    const left = known.retired.filter(({ organization_id }) => organization_id.equals(_id));
    const isLeft = (place: string) => left.some(({ placement }) => placeKey(placement) === place);
    for (const place of heldInVain(organization).filter((one) => !isLeft(one))) {
      const mend = async () => {
        if (!(await findOpen(db, _id))) await guarded.givePlaceUp(db, _id, place);
      };
      symptoms.push({ finding: { finding: "place_held_in_vain", organization_id, place }, mend });
    }
    return symptoms;
  });
}

const sweepMsMax = 20_000;

/** Places that were left and that no worker has looked at once more. */
export function examineRetired(deps: DoctorDeps, known: Known): Symptom[] {
  return known.retired
    .filter(({ due_at }) => due_at !== undefined && due_at.getTime() + overdueMs < deps.now().getTime())
    .filter(({ organization_id }) => !known.isBusy(organization_id.toHexString()))
    .map((retired) => {
      const { database, collection } = retired.placement;
      const organization_id = retired.organization_id.toHexString();
      return {
        finding: { finding: "place_left_unswept", organization_id, database, collection },
        mend: async () => {
          const input = { retired_id: retired._id };
          await run(
            deps,
            { _id: new ObjectId(), organization_id: retired.organization_id, kind: "sweep", input },
            sweepMsMax,
          );
        },
      };
    });
}
