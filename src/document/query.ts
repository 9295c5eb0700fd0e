import { type Db, MongoServerError, type Document, type ObjectId } from "mongodb";
import type { Deps } from "../deps.ts";
import { isInteger, toNumber } from "../lib/bson/bson.ts";
import { readBson } from "../lib/bson/bson-reader.ts";
import { type Engine, engineOf } from "../lib/mongo/engine.ts";
import { type FieldError, failure } from "../lib/failure.ts";
import { invalid } from "../lib/invalid.ts";
import { answers, hasErrorCode, isLate, isUnauthorized, isUnavailable } from "../lib/mongo/mongo.ts";
import { createSlice } from "../lib/slices.ts";
import { fromStored } from "../tenant/document.ts";
import { type DoorDeps, withTenant } from "../tenant/door.ts";
import type { Walk } from "../tenant/id-order.ts";
import { findDateTexts, findDateTextsOf } from "../tenant/query/date-text.ts";
import { placeFilter, readFilter } from "../tenant/query/filter.ts";
import {
  afterInTurn,
  arraysFound,
  arraysOn,
  decodeCursor,
  encodeCursor,
  isPrinted,
  lastKeys,
  type Printed,
} from "../tenant/query/page.ts";
import { placePipeline, readPipeline } from "../tenant/query/pipeline.ts";
import { placeProjection, readProjection } from "../tenant/query/projection.ts";
import { placeSort, readSort, type Sort } from "../tenant/query/sort.ts";
import type { Batch, TenantScope } from "../tenant/scope.ts";
import { largeBytes, type TenantDocument } from "../tenant/stored.ts";
import { type DocumentFailure, documentMissing } from "./document.ts";
import type { LargeThreads } from "./large.ts";
import type { Listed } from "./large-jobs.ts";

export const limitMax = 1_000;
export const limitDefault = 100;
/** As JavaScript's objects a page is several times as large: one of so many bytes of BSON is printed on a thread as a whole. */
const pageBytes = 1_048_576;

/** Gives one document. @throws Failure `document_not_found`; of `withTenant` */
export async function getDocument(deps: DoorDeps, organizationId: ObjectId, id: unknown): Promise<TenantDocument> {
  return await withTenant(deps, organizationId, "read", async (scope) => {
    const found = await scope.find(id);
    if (!found) throw documentMissing();
    return found;
  });
}

/** A query as it was sent, all of it optional and unchecked. */
export type ListQuery = Partial<Record<"filter" | "sort" | "projection" | "limit" | "cursor", unknown>>;
/** Where a refusal points: into a body, or to a parameter of the URL. */
export type Origin = "#/" | "?";
/** Documents as their tenant sees them, one at a time, as each is made when it is asked for; those of a large page are printed already, and large ones. */
export type Shown = Iterable<Document | Printed>;
/** What may be why nothing was found: nobody would look for a filter that is valid and means something else. */
export type Warned = { warnings?: FieldError[] };
export type Page = Warned & { documents: Shown; next_cursor: string | null };
type ReadDeps = DoorDeps & Pick<Deps, "deployments">;
type QueryDeps = ReadDeps & { large: LargeThreads };

/**
 * Lists documents, a page at a time. A page begins after the last document of the one before, wherever that is by then:
 * what is there all the time is shown exactly once, whatever is written meanwhile. One of large documents is shorter.
 *
 * @throws Failure `invalid_request`, `invalid_cursor`, `unsupported_sort`, `query_refused`, `query_too_slow`; of `withTenant` and `Large`
 */
export async function listDocuments(
  deps: QueryDeps,
  organizationId: ObjectId,
  query: ListQuery,
  origin: Origin = "#/",
): Promise<Page> {
  const filter = readFilter(query.filter, `${origin}filter`);
  const sort = readSort(query.sort, `${origin}sort`);
  const wanted = readProjection(query.projection, `${origin}projection`);
  const projection = placeProjection(wanted, sort);
  const limit = readLimit(query.limit);
  const at = `${origin}cursor`;
  // The page before the first one says `null`, as the last one does.
  const keys = query.cursor == null ? null : decodeCursor(readText(query.cursor, at), sort, filter, at);
  const { documents, isCut, isShared } = await read(deps, organizationId, async (scope, engine) => {
    const shown = await readPage(scope, engine, filter, sort, keys, projection.fields, limit);
    const isLast = shown.documents.length < limit && !shown.isCut;
    if (keys && isLast) await assertNoArrays(scope, engine, filter, sort);
    return shown;
  });
  const isFull = documents.length === limit || isCut;
  const page = await readFound(deps, organizationId, documents, {
    isShared,
    projection: wanted,
    sort: isFull ? sort : null,
  });
  return {
    documents: page.values().map((each) => (isPrinted(each) ? each : projection.trim(each))),
    next_cursor: isFull ? encodeCursor(sort, filter, lastKeys(sort, page)) : null,
    ...warned(keys || page.length > 0 ? [] : findDateTexts(filter, `${origin}filter`)),
  };
}

const warned = (warnings: FieldError[]): Warned => (warnings.length > 0 ? { warnings } : {});

/** Reads what was found, and prints what is large. */
async function readFound(
  { large, late }: QueryDeps,
  organizationId: ObjectId,
  found: readonly Uint8Array[],
  listed?: Listed,
): Promise<(Document | Printed)[]> {
  const isLargePage = found.reduce((sum, { byteLength }) => sum + byteLength, 0) >= pageBytes;
  const isPrintedAside = ({ byteLength }: Uint8Array) => isLargePage || byteLength >= largeBytes;
  const aside = found.filter(isPrintedAside);
  const printed = (aside.length > 0 ? await large.of(organizationId, late?.signal).print(aside, listed) : []).values();
  const slice = createSlice(organizationId.toHexString(), late?.signal);
  const documents: (Document | Printed)[] = [];
  for (const bytes of found) {
    if (isPrintedAside(bytes)) documents.push(printed.next().value!);
    else documents.push(listed ? fromStored(readBson(bytes), listed.isShared) : readBson(bytes));
    const pause = slice();
    if (pause) await pause;
  }
  return documents;
}

function readLimit(value: unknown): number {
  if (value === undefined) return limitDefault;
  const limit = toNumber(value);
  if (isInteger(value, 1) && limit <= limitMax) return limit;
  throw invalid("#/limit", `must be a whole number from 1 to ${limitMax}`, "out_of_range");
}

function readText(value: unknown, pointer: string): string {
  if (typeof value === "string") return value;
  throw invalid(pointer, "must be a string", "invalid_type");
}

/** What matches, in the order of the sort, from the place on that the keys mark. */
function walkOf(scope: TenantScope, engine: Engine, filter: Document, sort: Sort, keys: unknown[] | null): Walk {
  const isEmpty = Object.keys(filter).length === 0;
  // With a filter the database may have an index that finds less than all.
  if (isEmpty && sort.length === 1) return scope.walk(sort[0]!.direction, keys && { id: keys[0] });
  const placed = placeFilter(filter, scope.idPath, engine);
  const parts = keys && afterInTurn(sort, keys, scope.idPath);
  return {
    sort: placeSort(sort, scope.idPath),
    ranges: parts?.map((part) => (isEmpty ? part : { $and: [placed, part] })) ?? [placed],
  };
}

async function readPage(
  scope: TenantScope,
  engine: Engine,
  filter: Document,
  sort: Sort,
  keys: unknown[] | null,
  projection: Document,
  limit: number,
): Promise<Batch & { isShared: boolean }> {
  const walk = walkOf(scope, engine, filter, sort, keys);
  const found: Batch["documents"] = [];
  const isShared = scope.idPath !== "_id";
  let isCut = false;
  for (const range of walk.ranges) {
    if (found.length === limit || isCut) break;
    const page = await scope.list({ filter: range, sort: walk.sort, limit: limit - found.length, projection });
    found.push(...page.documents);
    isCut = page.isCut;
  }
  return { documents: found, isCut, isShared };
}

/** A walk by a field that holds an array somewhere may have shown a document twice, or not at all: then say so. */
async function assertNoArrays(scope: TenantScope, engine: Engine, filter: Document, sort: Sort): Promise<void> {
  const arrays = arraysOn(sort);
  if (!arrays) return;
  const matching = { $and: [placeFilter(filter, scope.idPath, engine), arrays] };
  const one = await scope.list({ filter: matching, sort: [], limit: 1, projection: { _id: 1 } });
  if (one.documents.length > 0) throw arraysFound(sort);
}

/** @throws Failure as `listDocuments` */
export async function countDocuments(
  deps: ReadDeps,
  organizationId: ObjectId,
  filter: unknown,
): Promise<Warned & { count: number }> {
  const wanted = readFilter(filter);
  const count = await read(deps, organizationId, (scope, engine) =>
    scope.count(placeFilter(wanted, scope.idPath, engine)),
  );
  return { count, ...warned(count > 0 ? [] : findDateTexts(wanted, "#/filter")) };
}

/** Runs a pipeline over nothing but the tenant's own documents; gives at most `limitMax` results. @throws Failure likewise, `expression_too_costly` */
export async function aggregateDocuments(
  deps: QueryDeps,
  organizationId: ObjectId,
  pipeline: unknown,
): Promise<Warned & { documents: (Document | Printed)[] }> {
  const stages = readPipeline(pipeline);
  const { documents, isCut } = await read(deps, organizationId, (scope, engine) =>
    scope.aggregate((ofTenant) => placePipeline(stages, ofTenant, scope.idPath, engine), limitMax),
  );
  if (isCut) throw failure<DocumentFailure>("query_refused", "The result is larger than 16 MB; project or limit it.");
  return {
    documents: await readFound(deps, organizationId, documents),
    ...warned(documents.length > 0 ? [] : findDateTextsOf(pipeline as Document[], "#/pipeline")),
  };
}

/** What the database itself finds wrong with a query is the caller's to mend; its own words are not for strangers. */
const read = <T>(
  deps: ReadDeps,
  organizationId: ObjectId,
  use: (scope: TenantScope, engine: Engine) => Promise<T>,
): Promise<T> =>
  withTenant(deps, organizationId, "read", async (scope) => {
    const { home } = deps.deployments.of(scope.placement.region);
    const engine = await engineOf(home.client);
    try {
      return await use(scope, engine);
    } catch (error) {
      if (await isTooSlow(home, error)) {
        const detail =
          "The query ran out of time: narrow it with a filter that an index supports, or request less at once.";
        throw failure<DocumentFailure>("query_too_slow", detail, { cause: error });
      }
      if (!(error instanceof MongoServerError) || isUnavailable(error) || isUnauthorized(error)) throw error;
      const name = /^\w{1,60}$/.test(String(error.codeName)) ? ` (${error.codeName})` : "";
      const detail = `The database can't run this query${name}; an operator may not fit the values it is applied to.`;
      throw failure<DocumentFailure>("query_refused", detail, { cause: error });
    }
  });

/** Its time was up, by the database's clock or by ours, and the database goes on answering. */
async function isTooSlow(db: Db, error: unknown): Promise<boolean> {
  if (hasErrorCode(error, maxTimeExpired)) return true;
  return isLate(error) && (await answers(db));
}
const maxTimeExpired = 50;
