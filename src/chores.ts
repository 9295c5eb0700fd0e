import { ObjectId } from "mongodb";
import { type DriveDeps, enqueue } from "./operation/drive.ts";
import type { OperationKind } from "./operation/operation.ts";
import { findLatest } from "./operation/ended.ts";
import * as organizationStore from "./organization/store.ts";
import { type EndDeps, finishEndedSessions } from "./session/end-session.ts";
import { findDue } from "./tenant/place/retired.ts";

const atOnceMax = 20;
/** So long one that was cancelled isn't started again. */
const putOffMs = 60 * 60_000;

/** Looks some further each time, and from the beginning after the end: what can't be started must not hide the others. */
function inRounds<T extends { _id: ObjectId }>(find: (after: ObjectId | null) => Promise<T[]>): () => Promise<T[]> {
  let after: ObjectId | null = null;
  return async () => {
    const found = await find(after);
    after = found.length < atOnceMax ? null : found.at(-1)!._id;
    return found;
  };
}

/**
 * What a worker does between operations: it starts those that nobody asked for. Any process may, several at once too: an
 * organization that has another one open is left for the next time.
 */
export function createChores(deps: DriveDeps & EndDeps): () => Promise<void> {
  const { db, now } = deps;
  const start = async (organization_id: ObjectId, kind: OperationKind, input: object) => {
    const last = await findLatest(db, organization_id, kind);
    // It was put off by an operator, or for what somebody had asked for.
    const isPutOff = last?.status === "cancelled" && last.finished_at!.getTime() + putOffMs > now().getTime();
    if (!isPutOff) await enqueue(deps, { _id: new ObjectId(), organization_id, kind, input });
  };
  const nextDue = inRounds((after) => findDue(db, now(), after, atOnceMax));
  const nextUnstamped = inRounds((after) => organizationStore.findUnstamped(db, after, atOnceMax));
  return async () => {
    for (const { _id, organization_id } of await nextDue()) await start(organization_id, "sweep", { retired_id: _id });
    for (const { _id } of await nextUnstamped()) await start(_id, "stamp", {});
    await finishEndedSessions(deps);
  };
}
