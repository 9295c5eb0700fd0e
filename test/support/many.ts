import { createHash, randomUUID } from "node:crypto";
import { type Db, type Document, ObjectId } from "mongodb";
import type { Entry } from "../../src/audit/audit.ts";
import { beginning, join } from "../../src/audit/chain.ts";
import { offerPlace, placeKey, sharedCollection } from "../../src/tenant/placement.ts";
import { firstMeta, toStored } from "../../src/tenant/stored.ts";

const dayMs = 86_400_000;
const atOnce = 5_000;

/** What a fleet has of everything after a month, per organization; without, only the organizations and a document each. */
type What = { count: number; withMonth: boolean };

/**
 * Fills a database that was prepared with organizations of the shared collection, in bulk: as sound as if each had been made
 * by a request, but in seconds.
 */
export async function plantMany(db: Db, { count, withMonth }: What): Promise<void> {
  const seed = randomUUID().slice(0, 8);
  for (let start = 0; start < count; start += atOnce) {
    const numbers = Array.from({ length: Math.min(atOnce, count - start) }, (_, index) => start + index);
    const all: Record<string, Document[]> = {};
    for (const n of numbers) {
      for (const [collection, documents] of Object.entries(recordsOf(db, seed, n, withMonth))) {
        (all[collection] ??= []).push(...documents);
      }
    }
    for (const [collection, documents] of Object.entries(all)) {
      await db.collection(collection).insertMany(documents, { ordered: false });
    }
  }
}

function recordsOf(db: Db, seed: string, n: number, withMonth: boolean): Record<string, Document[]> {
  const [_id, admin] = [new ObjectId(), new ObjectId()];
  const organizationId = _id.toHexString();
  const organization_name = `many-${seed}-${n}`;
  const email = `${organization_name}@example.com`;
  const created_at = new Date(Date.now() - dayMs * (1 + (n % 28)));
  const times = { created_at, updated_at: null };
  const placement = offerPlace("starter", { masterDatabase: db.databaseName, organizationId, organizationName: "" }, 1);
  const records = {
    organizations: [
      {
        ...{ _id, organization_name, email, ...times },
        ...{ tier: "starter", region: "default", status: "active", placement, place_keys: [placeKey(placement)] },
      },
    ],
    admin_users: [
      {
        ...{ _id: admin, email, email_keys: [email], password: "", organization_id: organizationId },
        ...{ organization_name, ...times },
      },
    ],
    [sharedCollection]: [toStored(placement, { id: n, fields: { n }, meta: firstMeta("test") })],
  };
  return withMonth ? { ...records, ...monthOf(_id, admin, n, created_at) } : records;
}

/** Operations, the record, a session and what was remembered. */
function monthOf(organization_id: ObjectId, admin: ObjectId, n: number, created_at: Date): Record<string, Document[]> {
  const chain = organization_id.toHexString();
  const hash = (text: string) => createHash("sha256").update(`${text}${n}${chain}`).digest("base64url");
  const later = new Date(Date.now() + 20 * dayMs);
  const operations = ["provision", "sweep"].map((kind) => ({
    ...{ _id: new ObjectId(), organization_id, kind, step: "end", status: "succeeded", input: {}, progress: {} },
    ...{ lease: { owner: "", token: "", until: created_at, fence: 1 }, error: null, history: [] },
    ...{ created_at, finished_at: new Date() },
  }));
  const entries = (["organization.create", "session.sign_in", "session.sign_out"] as const).map(
    (act, index): Entry => ({
      ...{ chain, act, at: new Date(created_at.getTime() + index * 1_000), act_id: randomUUID() },
      ...{ outcome: "success", who: { kind: "admin", id: admin.toHexString() } },
      ...{ address: null, request_id: null, details: {} },
    }),
  );
  const chained = join(beginning, entries);
  const { seq, hash: last } = chained.at(-1)!;
  const session = randomUUID();
  const left = {
    region: "default",
    database: "left",
    collection: "org_left",
    tier: "professional",
    key: chain,
    epoch: 1,
  };
  return {
    operations,
    audit_entries: chained,
    audit_heads: [{ _id: chain, seq, hash: last, begins: beginning }] as unknown as Document[],
    sessions: [
      {
        ...{ _id: session, admin_id: admin, organization_id, gen: 0, address: "", user_agent: "" },
        ...{ token_hash: hash("token"), family_hash: hash("family"), created_at, last_used_at: created_at },
        ...{ refresh_until: later, access_until: later, expires_at: later },
      },
    ] as unknown as Document[],
    idempotency_keys: [
      {
        ...{ _id: hash("key"), organization_id, request: "", write_id: "", ids: [], done: true },
        created_at: new Date(),
      },
    ] as unknown as Document[],
    rate_limits: [{ key: hash("limit"), points: 1, expire: later }],
    ...(n % 20 === 0 && {
      retired_places: [{ _id: new ObjectId(), organization_id, placement: left, stages: [], due_at: later }],
      move_notes: [{ operation_id: organization_id, id: n }],
      revocations: [
        {
          ...{ _id: hash("revoked"), kind: "session", admin_id: admin.toHexString(), organization_id: chain },
          ...{ revoked_at: created_at, expires_at: later },
        },
      ] as unknown as Document[],
    }),
  };
}
