import type { Collection, Db, ObjectId } from "mongodb";
import { failure } from "../lib/failure.ts";
import type { Expiring } from "../lib/mongo/expiry.ts";
import { isDuplicateKeyOfAny, majority, buildIndexes, within } from "../lib/mongo/mongo.ts";
import { idKey } from "../tenant/document-id.ts";
import type { Refusal } from "../tenant/scope.ts";
import type { DocumentFailure } from "./document.ts";
import type { Refused } from "./insert.ts";
import { digestOf } from "./read.ts";

/** Documents of one insert: what is remembered of each is kept for a day, and no tenant's quota counts it. */
export const rememberedMax = 10_000;

/** What became of a document, in one letter: a record has as many. */
const letters: Record<Refusal | "written", string> = {
  written: "w",
  id_taken: "i",
  unique_taken: "u",
  unfit: "f",
  refused: "r",
};

/**
 * An insert that may be sent again: the ids of its documents and of its write, chosen when it was sent first. Once it is
 * done it isn't done again, so that what was removed since stays so.
 */
export type RememberedInsert = {
  _id: string;
  organization_id: ObjectId;
  /** A hash of what was sent: the key must not come with anything else. */
  request: string;
  write_id: string;
  /** Null where the caller chose it: then it is in what was sent. Empty when that is so of all. */
  ids: (ObjectId | null)[];
  done: boolean;
  /** Documents that it had stored and that were removed before it was known to be done, by `idKey`. */
  removed?: string[];
  /** What was refused then stays so: a letter for each document, where one was refused. */
  outcome?: string;
  /** The same, of an insert that a version before has done. */
  refused?: Refused;
  created_at: Date;
};

const remembered = (db: Db): Collection<RememberedInsert> => db.collection("idempotency_keys");

export const insertsExpire: Expiring = { of: remembered, field: "created_at", afterSeconds: 24 * 60 * 60 };

export async function createIdempotencyIndexes(db: Db): Promise<void> {
  await buildIndexes(remembered(db), [{ key: { organization_id: 1 } }]);
}

/**
 * Remembers an insert under its key (the Idempotency-Key header), or recalls the one that was sent with it before.
 *
 * @throws Failure `idempotency_key_reused` when that was another one
 */
export async function rememberInsert(
  { db, now }: { db: Db; now(): Date },
  sent: { organizationId: ObjectId; key: string; digest: string; writeId: string; ids: (ObjectId | null)[] },
): Promise<RememberedInsert> {
  const record: RememberedInsert = {
    _id: digestOf(sent.organizationId.toHexString(), sent.key),
    organization_id: sent.organizationId,
    request: sent.digest,
    write_id: sent.writeId,
    ids: sent.ids.some((id) => id !== null) ? sent.ids : [],
    done: false,
    created_at: now(),
  };
  try {
    await remembered(db).insertOne(record, within());
    return record;
  } catch (error) {
    if (!isDuplicateKeyOfAny(error)) throw error;
  }
  const before = await remembered(db).findOne({ _id: record._id }, { ...majority, ...within() });
  if (!before) return await rememberInsert({ db, now }, sent);
  if (before.request !== record.request) {
    throw failure<DocumentFailure>("idempotency_key_reused", "This Idempotency-Key was sent with another request.");
  }
  return before;
}

/** What a document carries of the insert that made it. */
export const keyOf = ({ _id, write_id }: Pick<RememberedInsert, "_id" | "write_id">): string => `${_id}.${write_id}`;

/** Before a document is removed: the insert that made it, sent again, must not bring it back. */
export async function markRemoved(db: Db, key: string, id: unknown): Promise<void> {
  const [_id = "", write_id = ""] = key.split(".");
  await remembered(db).updateOne({ _id, write_id, done: false }, { $addToSet: { removed: idKey(id) } }, within());
}

/** @param count how many documents were sent */
export async function markInsertDone(db: Db, id: string, count: number, refused: Refused): Promise<void> {
  const outcome = refused.length > 0 ? { done: true, outcome: outcomeOf(count, refused) } : { done: true };
  // What isn't stored needs no id any more.
  const ids = refused.length === count ? { ids: [] } : {};
  await remembered(db).updateOne({ _id: id, done: false }, { $set: { ...outcome, ...ids } }, within());
}

function outcomeOf(count: number, refused: Refused): string {
  const outcome = Array.from({ length: count }, () => letters.written);
  for (const { index, because } of refused) outcome[index] = letters[because];
  return outcome.join("");
}

/** What was refused when the insert was done. */
export function refusedBefore({ outcome = "", refused }: RememberedInsert): Refused {
  if (refused) return refused;
  const reasons = new Map(Object.entries(letters).map(([because, letter]) => [letter, because]));
  return [...outcome].flatMap((letter, index) =>
    letter === letters.written ? [] : [{ index, because: reasons.get(letter) as Refusal }],
  );
}

const forgottenAtOnceMax = 500;

/** Forgets inserts of an organization, some of them. @returns whether there may be more */
export async function forgetSomeInserts(db: Db, organizationId: ObjectId): Promise<boolean> {
  const whose = { organization_id: organizationId };
  const options = { projection: { _id: 1 }, limit: forgottenAtOnceMax, ...within() } as const;
  const found = await remembered(db).find(whose, options).toArray();
  if (found.length > 0) await remembered(db).deleteMany({ _id: { $in: found.map(({ _id }) => _id) } }, within());
  return found.length === forgottenAtOnceMax;
}
