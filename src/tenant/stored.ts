import { BSON, type Document, type Filter } from "mongodb";
import { documentOf, objectParts } from "../lib/bson/raw-bson.ts";
import { isShared, type Placement } from "./placement.ts";

/**
 * What Croupier keeps of a document: its version, the ids of its last writes, the newest first, and the insert that made it
 * where that may be sent again.
 */
export type Meta = { v: number; h: string[]; k?: string };

/**
 * The fields of a large document, which only a thread looks at: as BSON, in which what is Croupier's own doesn't count, and the
 * whole document as Extended JSON where that is known.
 */
export type LargeFields = { readonly bson: Uint8Array; readonly json?: Uint8Array };
const large = Object.freeze({});
// Told by the prototype, as a tenant's field may have any name.
export const largeFields = (bson: Uint8Array, json?: Uint8Array): LargeFields =>
  Object.assign(Object.create(large), { bson, ...(json && { json }) });
export const isLarge = (fields: Document | LargeFields): fields is LargeFields =>
  Object.getPrototypeOf(fields) === large;

/** From so many bytes on documents and bodies are large: they are read and printed on a thread. */
export const largeBytes = 128 * 1_024;

/** A tenant's document, without anything of Croupier's. `id` is any scalar; `fields` are in the tenant's order. */
export type TenantDocument = { id: unknown; fields: Document | LargeFields; meta: Meta };

/** The fields at the top of a stored document that are none of the tenant's own: its `_id`, and Croupier's. */
export const ownNames = ["_id", "tenant_id", "_croupier"] as const;
export const isOwn = (name: string): boolean => (ownNames as readonly string[]).includes(name);

/** Fields of a document to be set, which may be large, and to be removed, by their paths. */
export type FieldChanges = { set: Document | LargeFields; unset: string[] };

/** As many writes as may come between a write's first try and its second, for that one to be recognized. */
const historyMax = 4;

/** The path at which the tenant's `_id` is stored. Two tenants may choose the same one, so in the shared collection it is a part. */
export const idPath = (placement: Pick<Placement, "tier">): "_id" | "_id.i" => (isShared(placement) ? "_id.i" : "_id");

export const storedId = (placement: Placement, id: unknown): unknown =>
  isShared(placement) ? { t: placement.key, i: id } : id;

/** The filter that every statement on a tenant's documents carries, in every tier. */
export const ofTenant = ({ key, unstamped }: Placement): Filter<Document> => ({
  tenant_id: unstamped ? { $in: [key, null] } : key,
});

export const toStored = (placement: Placement, { id, fields, meta }: TenantDocument): Document => ({
  _id: storedId(placement, id),
  ...fields,
  tenant_id: placement.key,
  _croupier: meta,
});

/** The fields of the same as they are stored, in parts that make them up. */
export function storedParts(placement: Placement, document: TenantDocument): Uint8Array[] {
  const { id, fields, meta } = document;
  if (!isLarge(fields)) return [fieldsOnly(BSON.serialize(toStored(placement, document), { ignoreUndefined: true }))];
  return [
    fieldsOnly(BSON.serialize({ _id: storedId(placement, id) })),
    fieldsOnly(fields.bson),
    fieldsOnly(BSON.serialize({ tenant_id: placement.key, _croupier: meta })),
  ];
}

const fieldsOnly = (document: Uint8Array): Uint8Array => document.subarray(4, -1);

/** An update that sets large fields and others, and does what else is asked for, in parts. */
export const updateParts = (set: LargeFields, own: Document, others: Document): Uint8Array[] => [
  ...objectParts("$set", [fieldsOnly(set.bson), fieldsOnly(BSON.serialize(own))]),
  fieldsOnly(BSON.serialize(others)),
];

/** The statement that replaces or updates the one document that the filter finds. @param update its fields */
export const statementOf = (filter: Filter<Document>, update: readonly Uint8Array[]): Buffer =>
  documentOf([...objectParts("q", [fieldsOnly(BSON.serialize(filter))]), ...objectParts("u", update)]);

/** Reads a stored document, one of the first Croupier's too, which has neither tenant nor version. */
export function readStored(placement: Pick<Placement, "tier">, stored: Document): TenantDocument {
  const { _id, tenant_id: _, _croupier, ...fields } = stored;
  return {
    id: isShared(placement) ? _id.i : _id,
    fields,
    meta: { v: Number(_croupier?.v ?? 0), h: _croupier?.h ?? [], ...(_croupier?.k && { k: _croupier.k }) },
  };
}

export const firstMeta = (writeId: string, insert?: string): Meta => ({
  v: 1,
  h: [writeId],
  ...(insert && { k: insert }),
});

/** In the order in which they are read again: the two sides of a move are compared as bytes. */
export const nextMeta = ({ v, h, ...made }: Meta, writeId: string): Meta => ({
  v: v + 1,
  h: [writeId, ...h].slice(0, historyMax),
  ...made,
});

/** Matches a document only while it is at this version. */
export const atVersion = ({ v, h }: Meta): Filter<Document> =>
  h.length > 0 ? { "_croupier.v": v, "_croupier.h.0": h[0] } : { "_croupier.v": v === 0 ? { $in: [0, null] } : v };
