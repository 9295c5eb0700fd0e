import { setTimeout as sleep } from "node:timers/promises";
import type {
  Abortable,
  AbstractCursor,
  Collection,
  CommandOperationOptions,
  Db,
  Document,
  IndexDescription,
} from "mongodb";
import { atMost } from "../at-most.ts";

/** How long one statement may take, in milliseconds: short enough that a caller hears of a dead database within 5 s. */
const statementTimeoutMs = 3_500;

/** How long the driver waits for what a signal doesn't reach: a cursor's further batches, and its end. */
export const socketTimeoutMs = 30_000;

/**
 * Options that end a statement in time, or when a signal says so. The driver's own `timeoutMS` has no effect since 7.8; a signal ends statements of
 * every kind, though the driver's types name it for reads only. One that may take longer than a silent connection may says so.
 */
export function within(
  timeoutMs = statementTimeoutMs,
  sooner?: AbortSignal,
): Pick<CommandOperationOptions, "comment"> & Abortable {
  const signal = AbortSignal.timeout(timeoutMs);
  return {
    signal: sooner ? AbortSignal.any([sooner, signal]) : signal,
    ...(timeoutMs >= socketTimeoutMs && { socketTimeoutMS: timeoutMs + 1_000 }),
  };
}

/** Ends a cursor, and doesn't wait for long until the server has said so. */
export const closeInTime = (cursor: AbstractCursor<unknown>): Promise<void> => atMost(closeMsMax, cursor.close());
const closeMsMax = 1_000;
/** Over all that a large database holds an index is made in minutes, the first time that a version needs it. */
const toBuild = () => within(10 * 60_000);

/** Builds the indexes of a collection in one statement, and the collection; those that are there stay as they are. */
export async function buildIndexes(collection: Collection<any>, indexes: IndexDescription[]): Promise<void> {
  await collection.createIndexes(indexes, toBuild());
}

/** Drops an index that an earlier version needed. */
export async function dropOutdatedIndex<T extends Document>(collection: Collection<T>, name: string): Promise<void> {
  try {
    await collection.dropIndex(name, within());
  } catch (error) {
    if (!isIndexNotFound(error)) throw error;
  }
}

/** FerretDB takes no more documents in one statement; MongoDB takes 100,000. */
const insertMax = 25_000;

/** The driver makes BSON of a statement in one go, in which nobody else has a turn. */
const insertBytesMax = 512 * 1024;

/** What one statement may insert, part by part; a part of more bytes than it may have is alone. */
export function* insertParts<T>(all: readonly T[], bytesOf: (one: T) => number): Generator<T[]> {
  let part: T[] = [];
  let bytes = 0;
  for (const one of all) {
    const more = bytesOf(one);
    if (part.length === insertMax || (part.length > 0 && bytes + more > insertBytesMax)) {
      yield part;
      [part, bytes] = [[], 0];
    }
    part.push(one);
    bytes += more;
  }
  if (part.length > 0) yield part;
}

type ServerError = {
  code?: unknown;
  name?: unknown;
  message?: unknown;
  errorResponse?: unknown;
  writeErrors?: unknown;
};
const asServerError = (error: unknown): ServerError => (typeof error === "object" && error !== null ? error : {});
/** A number, or an Int32 where the statement asked for its answer as it is. */
const codeOf = (error: unknown): number => Number(asServerError(error).code);
export const hasErrorCode = (error: unknown, code: number) => codeOf(error) === code;

/** One of several writes says what went wrong in `errmsg`. */
const messageOf = (error: unknown): string => {
  const { message, errmsg } = error as { message?: unknown; errmsg?: unknown };
  return String(message ?? errmsg);
};

/** FerretDB names only the index in its message, MongoDB does too: so the message is what both have in common. */
export const isDuplicateKey = (error: unknown, index: string): boolean =>
  hasErrorCode(error, 11000) && messageOf(error).includes(index);

/** A duplicate key of whatever index. In an error of several writes each write has its own. */
export const isDuplicateKeyOfAny = (error: unknown): boolean => hasErrorCode(error, 11000);

/** A duplicate `_id`. Indexes of tenants, which are named by their fields, may be called `user_id_1`; collections `x-index`. */
export const isDuplicateId = (error: unknown): boolean =>
  isDuplicateKeyOfAny(error) &&
  /^.*?\bindex(?:: | ')(.*)/is.exec(messageOf(error))?.[1]?.match(/^_id_('| dup key|$)/) != null;

/**
 * A document has what no index of MongoDB can hold: arrays in two fields of one, or a name that is a number in an array,
 * where an index has a number in its path.
 */
export const isUnindexable = (error: unknown): boolean => hasErrorCode(error, 171) || hasErrorCode(error, 16746);

const badValue = 2;
/** The codes of validators and of documents that would be too large; FerretDB has some of its own. */
const refusedCodes = new Set([121, 525074461, 10334, 17419, 17420, 285999133]);
/** Of one that is too large from the beginning the servers say no more than that it is bad, and the driver doesn't send it. */
const isTooLarge = (error: unknown): boolean =>
  (hasErrorCode(error, badValue) || asServerError(error).name === "MongoInvalidArgumentError") &&
  /too large|larger than/.test(messageOf(error));

/** A document, or one of several, isn't written as the collection's validator refuses it, or as it would be larger than 16 MiB. */
export const isRefusedDocument = (error: unknown): boolean =>
  refusedCodes.has(codeOf(error)) ||
  isTooLarge(error) ||
  [asServerError(error).writeErrors ?? []].flat().some(isRefusedDocument);

/** The same, and what is no value or too long for an index: the server would refuse it again, whenever it is inserted. */
const neverStoredCodes = new Set([...refusedCodes, 2, 22, 171, 16746, 17280]);
export const isRefusedAlways = (error: unknown): boolean => neverStoredCodes.has(codeOf(error));

/** Bad values, options and keys; too large a key; what can't be built: the server would say so again, whenever it is asked. */
const refusedIndexCodes = new Set([2, 9, 67, 72, 197, 201, 10334, 16746, 17280, 40415]);
export const isRefusedIndex = (error: unknown): boolean => refusedIndexCodes.has(asServerError(error).code as number);

/** Reads what the majority has: what a change of the primary can't take back. */
export const majority = { readConcern: { level: "majority" } } as const;

/** As `db.command` takes no write concern from the client: a change of the primary mustn't take these back. */
export const durable = { writeConcern: { w: "majority" } } as const;

/** What FerretDB answers when the upsert of a findAndModify meets a duplicate key: which index it was is not said. */
export const isUnnamedDuplicateKey = (error: unknown): boolean =>
  hasErrorCode(error, 1) && String(asServerError(error).message).includes("violates exclusion constraint");

/** What FerretDB may answer when a unique index is made of values that aren't. */
export const isViolatedAtBuild = (error: unknown): boolean =>
  hasErrorCode(error, 1) && messageOf(error).includes("could not create exclusion constraint");

export const isNamespaceExists = (error: unknown): boolean => hasErrorCode(error, 48);
export const isNamespaceNotFound = (error: unknown): boolean => hasErrorCode(error, 26);
export const isIndexNotFound = (error: unknown): boolean => hasErrorCode(error, 27);
/** The collection of that name is no longer the one that was meant (MongoDB 6.0 and later). */
export const isAnotherCollection = (error: unknown): boolean => hasErrorCode(error, 361);

const unavailableNames = new Set([
  "MongoServerSelectionError",
  "MongoNetworkError",
  "MongoNetworkTimeoutError",
  "MongoOperationTimeoutError",
  "MongoPoolClearedError",
  "MongoPoolClosedError",
  "PoolClearedOnNetworkError",
  "MongoWaitQueueTimeoutError",
  "MongoConnectionPoolClearedError",
  "MongoNotConnectedError",
  "MongoTopologyClosedError",
  "MongoClientClosedError",
  "TimeoutError",
]);
// Not primary, stepping down, shutting down, no majority, too long, the index dropped that a query used: MongoDB's error codes
// for "try again elsewhere or later".
const unavailableCodes = new Set([50, 64, 89, 91, 133, 175, 189, 262, 9001, 10107, 11600, 11602, 13435, 13436, 6, 7]);

/** What FerretDB answers while the PostgreSQL behind it starts, stops or is away: it passes its words on, without a code of their own. */
const isAwayBehindFerret = (error: unknown): boolean =>
  hasErrorCode(error, 1) && /the database system is |failed to connect to `/.test(messageOf(error));

/** The database, not the request, is the reason: gone, changing its primary, or too slow to answer. */
export const isUnavailable = (error: unknown): boolean => {
  const { name, errorResponse } = asServerError(error);
  if (unavailableNames.has(String(name)) || unavailableCodes.has(codeOf(error))) return true;
  // The driver wraps what ended an insert of many in an error of another name, and keeps it there.
  return isAwayBehindFerret(error) || (errorResponse instanceof Error && isUnavailable(errorResponse));
};

/**
 * The server itself says that it hasn't done what one statement asked for, and won't: it took too long there, or may not be now.
 * Unlike an answer that doesn't come, or that tells of an election, which leaves both open.
 */
export const isRefused = (error: unknown): boolean =>
  asServerError(error).name === "MongoServerError" && (hasErrorCode(error, 50) || !isUnavailable(error));

/** Unauthorized, AuthenticationFailed, and what Atlas has for everything that it doesn't allow. */
const [unauthorized, authenticationFailed, atlasError] = [13, 18, 8000];

/** The user of the connection string may not do this: it comes to nothing however often it is tried, until it may. */
export const isUnauthorized = (error: unknown): boolean => {
  if (hasErrorCode(error, unauthorized) || hasErrorCode(error, authenticationFailed)) return true;
  if (hasErrorCode(error, atlasError)) return /\bauth|not allowed/i.test(messageOf(error));
  const { errorResponse } = asServerError(error);
  return errorResponse instanceof Error && isUnauthorized(errorResponse);
};

/** What came out, or null where the user may not even look. */
export async function unlessUnauthorized<T>(look: () => Promise<T>): Promise<T | null> {
  try {
    return await look();
  } catch (error) {
    if (!isUnauthorized(error)) throw error;
    return null;
  }
}
/** A limit of ours, or of the connection, has ended the statement: whether the database is away isn't said by that. */
export const isLate = (error: unknown): boolean => {
  const { name, errorResponse } = asServerError(error);
  // The second is how the driver tells of the first where it waits for an answer.
  if (["TimeoutError", "MongoOperationTimeoutError", "MongoNetworkTimeoutError"].includes(String(name))) return true;
  // As above.
  return (
    [50, 262].some((code) => hasErrorCode(error, code)) || (errorResponse instanceof Error && isLate(errorResponse))
  );
};

/** Whether the database answers at once. */
export const answers = (db: Db): Promise<boolean> =>
  db.command({ ping: 1 }, within(1_000)).then(
    () => true,
    () => false,
  );

/** FerretDB answers this instead of a duplicate key when several write one value of a unique index at once. */
const ferretDeadlock = 16908292;
/** …and this, with no code of its own, when several change one document by `findOneAndUpdate`. */
const isFerretDeadlock = (error: unknown): boolean =>
  hasErrorCode(error, ferretDeadlock) || (hasErrorCode(error, 1) && messageOf(error) === "deadlock detected");

/** …and this when a pipeline with `$$NOW` meets a document that a rival has just written. */
const isFerretNowLost = (error: unknown): boolean =>
  hasErrorCode(error, 9) && messageOf(error).includes("$$NOW operator cannot be used");

const writeConflict = 112;
/** MongoDB's answer to who builds an index of a name that another one drops meanwhile. */
const buildAborted = 276;

/** The server gave up on a write, or on some of several, because of a rival: these changed nothing. */
export const isRivalry = (error: unknown): boolean =>
  isFerretDeadlock(error) ||
  isFerretNowLost(error) ||
  hasErrorCode(error, writeConflict) ||
  hasErrorCode(error, buildAborted) ||
  [asServerError(error).writeErrors ?? []].flat().some(isRivalry);

/** Runs a guarded write again when the server gave up on it because of a rival, which has decided by then. */
export async function retryDeadlock<T>(write: () => Promise<T>, attemptsMax = 8): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await write();
    } catch (error) {
      if (!isRivalry(error) || attempt >= attemptsMax) throw error;
      await sleep(Math.random() * 50 * attempt);
    }
  }
}
