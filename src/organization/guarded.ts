import type { Db, Filter, ObjectId, UpdateFilter } from "mongodb";
import { retryDeadlock, within } from "../lib/mongo/mongo.ts";
import type { Standing } from "../tenant/lease.ts";
import { type Placement, placeKey } from "../tenant/placement.ts";
import { retireKeys } from "../tenant/place/retired.ts";
import { established, type OrganizationDocument } from "./organization.ts";
import { decided, findEstablishedById, getById, organizations, type Written } from "./store.ts";

/** An organization as one driver of an operation may write it: no later driver has entered. */
export type Guarded = { id: ObjectId; guard: number };

/** Gives a driver its guard: from here on the writes of those before it match nothing. 0 when there is no organization. */
export async function raiseGuard(db: Db, id: ObjectId): Promise<number> {
  const options = { returnDocument: "after", projection: { guard: 1 }, ...within() } as const;
  const organization = await organizations(db).findOneAndUpdate({ _id: id }, { $inc: { guard: 1 } }, options);
  return organization?.guard ?? 0;
}

/**
 * A suspended organization is written too: what operations do with its place goes on.
 *
 * @throws Error when the organization is there and another driver has entered
 */
async function writeGuarded(
  db: Db,
  { id, guard }: Guarded,
  change: UpdateFilter<OrganizationDocument>,
  only: Filter<OrganizationDocument> = {},
) {
  const filter = { status: { $in: [...established] }, ...only, _id: id, guard };
  const { matchedCount } = await organizations(db).updateOne(filter, change, within());
  if (matchedCount === 1) return true;
  const organization = await findEstablishedById(db, id);
  if (organization && organization.guard !== guard) throw new Error("another process has taken over the operation");
  return false;
}

/** Writes what an update changes, all at once: the point from which it only goes on. Not of a suspended organization. */
export const writeUpdate = (
  db: Db,
  organization: Guarded,
  changes: { organization_name?: string; email?: string; updated_at: Date },
): Promise<Written> => decided(() => writeGuarded(db, organization, { $set: changes }, { status: "active" }));

/** Claims a place in addition to the one held, before anything is moved there. */
export const reservePlace = (db: Db, organization: Guarded, key: string): Promise<Written> =>
  decided(() => writeGuarded(db, organization, { $addToSet: { place_keys: key } }));

/** Brings a move to a phase, for all who use the documents. Every change of phase raises the epoch. */
export const enterPhase = (db: Db, organization: Guarded, move: NonNullable<Standing["move"]>): Promise<Written> =>
  decided(() => writeGuarded(db, organization, { $set: { move }, $inc: { "placement.epoch": 1 } }));

/** Opens the gate again, if it is closed: what was written before the cutover failed goes on where it was. */
export async function reopenGate(db: Db, organization: Guarded, operationId: ObjectId): Promise<void> {
  await decided(() =>
    writeGuarded(
      db,
      organization,
      { $set: { "move.phase": "journal" }, $inc: { "placement.epoch": 1 } },
      { "move.operation_id": operationId, "move.phase": "gate" },
    ),
  );
}

/** Ends a move where the documents have always been; one that has ended is left as it is. */
export async function leaveMove(db: Db, organization: Guarded, operationId: ObjectId): Promise<void> {
  await retryDeadlock(() =>
    writeGuarded(
      db,
      organization,
      { $unset: { move: true }, $inc: { "placement.epoch": 1 } },
      { "move.operation_id": operationId },
    ),
  );
}

/** The cutover of a move: from here on the documents are at `to`. Only out of the gate of this very move. */
export async function cutOver(
  db: Db,
  organization: Guarded,
  operationId: ObjectId,
  from: Placement,
  to: Placement,
): Promise<Written> {
  const { epoch } = from;
  const placement = { ...to, epoch: epoch + 1 };
  return await decided(() =>
    writeGuarded(
      db,
      organization,
      { $set: { placement, tier: to.tier, region: to.region }, $unset: { move: true } },
      { "placement.epoch": epoch, "move.operation_id": operationId, "move.phase": { $in: ["gate", "sealed"] } },
    ),
  );
}

/** Gives up every place but the one where the documents are; first they are retired. */
export async function releasePlaces(db: Db, organization: Guarded): Promise<void> {
  const { placement, place_keys = [] } = await getById(db, organization.id);
  if (!placement) return;
  const live = placeKey(placement);
  const left = place_keys.filter((key) => key !== live);
  if (left.length === 0 && place_keys.length === 1) return;
  await retireKeys(db, organization.id, left);
  await decided(() => writeGuarded(db, organization, { $set: { place_keys: [live] } }));
}

/** Gives up a place that the organization doesn't live at; first it is retired. */
export async function givePlaceUp(db: Db, id: ObjectId, key: string): Promise<void> {
  const filter = { _id: id, place_keys: key };
  const { placement } = (await organizations(db).findOne(filter, within())) ?? {};
  if (!placement || placeKey(placement) === key) return;
  // The epoch: unless it has come back just now.
  const unchanged = { ...filter, "placement.epoch": placement.epoch };
  await retireKeys(db, id, [key]);
  await organizations(db).updateOne(unchanged, { $pull: { place_keys: key } }, within());
}

/** Changes what a placement says beside the place itself: a tenant's indexes, or that all documents carry their tenant. */
export const notePlacement = (
  db: Db,
  organization: Guarded,
  change: Pick<Placement, "indexes"> | { unstamped: null },
): Promise<Written> =>
  decided(() =>
    writeGuarded(
      db,
      organization,
      "unstamped" in change
        ? { $unset: { "placement.unstamped": true } }
        : { $set: { "placement.indexes": change.indexes ?? [] }, $inc: { "placement.epoch": 1 } },
    ),
  );

/** Ends a move whose operation has ended without it; a driver of that operation can't cut over any more. */
export async function endDeadMove(db: Db, id: ObjectId, operationId: ObjectId): Promise<void> {
  const filter = { _id: id, "move.operation_id": operationId };
  await organizations(db).updateOne(filter, { $unset: { move: true }, $inc: { "placement.epoch": 1 } }, within());
}
