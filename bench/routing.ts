/** What it costs to find a tenant's place: the same requests with ten tenants in the database and with many. */
import type { Config } from "../src/config.ts";
import { type Db, type Document, ObjectId } from "mongodb";
import { createTokenIssuer } from "../src/session/token/token.ts";
import { sharedCollection } from "../src/tenant/placement.ts";
import { jwtSecret } from "./contestants.ts";
import { benchDocument, extendedDate, storedDate } from "./document.ts";
import { createTenant, makeOperatorKey, moveTenant } from "./document-contestants.ts";
import { request } from "./load.ts";
import { load } from "./measure.ts";
import { median } from "./report.ts";

export interface RoutingSample {
  existing: number;
  asked: number;
  call: string;
  p50Ms: number;
  p99Ms: number;
}

interface Known {
  token: string;
  documentId: ObjectId;
}

/** Copies of an organization of the starter tier, each with an admin, a token and a document. */
async function cloneTenants(db: Db, seedId: ObjectId, count: number, offset: number): Promise<Known[]> {
  const organization = (await db.collection("organizations").findOne({ _id: seedId })) as Document;
  const admin = (await db.collection("admin_users").findOne({
    organization_id: { $in: [seedId, seedId.toHexString()] } as never,
  })) as Document;
  const jwt: Config["jwt"] = {
    algorithm: "HS256",
    secrets: [jwtSecret],
    secretFile: null,
    privateKeyFiles: [],
    issuer: "croupier",
    audience: "croupier",
    lifeMinutes: 600,
    leewaySeconds: 0,
  };
  const tokens = await createTokenIssuer(jwt, () => new Date());
  const known: Known[] = [];
  for (let start = 0; start < count; start += 500) {
    const some = Array.from({ length: Math.min(500, count - start) }, (_, index) => ({
      number: offset + start + index,
      id: new ObjectId(),
      adminId: new ObjectId(),
      documentId: new ObjectId(),
    }));
    const isText = typeof admin.organization_id === "string";
    await db.collection("organizations").insertMany(
      some.map(({ id, number }) => ({
        ...organization,
        _id: id,
        organization_name: `many${number}`,
        email: `admin@many${number}.example`,
        placement: { ...organization.placement, key: id.toHexString() },
        place_keys: [`default/${db.databaseName}/${sharedCollection}/${id.toHexString()}`],
      })),
    );
    await db.collection("admin_users").insertMany(
      some.map(({ id, adminId, number }) => ({
        ...admin,
        _id: adminId,
        email: `admin@many${number}.example`,
        email_keys: [`admin@many${number}.example`],
        organization_id: isText ? id.toHexString() : id,
      })),
    );
    await db.collection<Document>(sharedCollection).insertMany(
      some.map(({ id, documentId, number }) => ({
        _id: { t: id.toHexString(), i: documentId } as never,
        ...benchDocument(number, storedDate),
        tenant_id: id.toHexString(),
        _croupier: { v: 1, h: ["0123456789ab"] },
      })),
    );
    for (const { id, adminId, documentId } of some) {
      const whose = { admin_id: adminId.toHexString(), organization_id: id.toHexString(), gen: 0 };
      known.push({ token: (await tokens.issue(whose)).token, documentId });
    }
  }
  return known;
}

/** Ten tenants that exist alone; the same ten among many; and requests that go to all of the many in turn. */
export async function measureRouting(options: {
  url: string;
  db: Db;
  many: number;
  rounds: number;
}): Promise<RoutingSample[]> {
  const { url, db, many, rounds } = options;
  const seed = await createTenant(url, "bench-routing");
  await moveTenant(url, await makeOperatorKey(db), seed.id, "starter");
  const port = Number(new URL(url).port);
  const few = await cloneTenants(db, new ObjectId(seed.id), 10, 0);
  const samples: RoutingSample[] = [];

  async function measure(existing: number, asked: Known[]) {
    const found = new Map<string, { p50Ms: number; p99Ms: number }[]>();
    for (let round = 0; round < rounds; round++) {
      for (const call of ["get", "insert"]) {
        const requests = asked.map(({ token, documentId }, index) => {
          const headers = { Authorization: `Bearer ${token}` };
          return call === "get"
            ? request("GET", `/org/documents/${documentId.toHexString()}`, undefined, headers)
            : request("POST", "/org/documents", benchDocument(index, extendedDate), headers);
        });
        const stream = {
          label: call,
          concurrency: 8,
          ratePerSecond: 100,
          requests,
          status: call === "get" ? 200 : 201,
        };
        const { streams } = await load({ port, seconds: 4, streams: [stream] });
        const [report] = streams as [(typeof streams)[0]];
        if (report.errors > 0) throw new Error(report.firstError);
        found.set(call, [...(found.get(call) ?? []), report]);
      }
    }
    for (const [call, reports] of found) {
      const p50Ms = median(reports.map((report) => report.p50Ms));
      const p99Ms = median(reports.map((report) => report.p99Ms));
      samples.push({ existing, asked: asked.length, call, p50Ms, p99Ms });
    }
  }

  await measure(few.length, few);
  const others = await cloneTenants(db, new ObjectId(seed.id), many - few.length, few.length);
  await measure(many, few);
  await measure(many, [...few, ...others]);
  return samples;
}
