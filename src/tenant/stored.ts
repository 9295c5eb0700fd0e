import type { Document, Filter } from "mongodb";
import { isShared, type Placement } from "./placement.ts";

/**
 * What Croupier keeps of a document: its version, the ids of its last writes, the newest first, and the insert that made it
 * where that may be sent again.
 */
export type Meta = { v: number; h: string[]; k?: string };

/** A tenant's document, without anything of Croupier's. `id` is any scalar; `fields` are in the tenant's order. */
export type TenantDocument = { id: unknown; fields: Document; meta: Meta };

/** Whether a field at the top of a stored document is none of the tenant's own but its `_id`, or Croupier's. */
export const isOwn = (name: string): boolean => ["_id", "tenant_id", "_croupier"].includes(name);

/** Fields of a document to be set and to be removed, by their paths. */
export type FieldChanges = { set: Document; unset: string[] };

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
