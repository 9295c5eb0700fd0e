// INDEX_BUILD_DOCUMENTS sets how many documents the shared collection holds (and prints what was measured).
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { type Db, type MongoClient, ObjectId } from "mongodb";
import { createClient } from "../../src/lib/mongo/client.ts";
import { getById } from "../../src/organization/store.ts";
import type { Placement } from "../../src/tenant/placement.ts";
import { type Child, startChild, until } from "../support/crash.ts";
import { stored } from "../support/fleet.ts";
import { dropAll, freshDatabaseName, newcomer, send } from "../support/service.ts";

const documentsMax = Number(process.env.INDEX_BUILD_DOCUMENTS ?? 5_000);
const prints = process.env.INDEX_BUILD_DOCUMENTS !== undefined;
setDefaultTimeout(10 * 60_000);

let client: MongoClient;
let db: Db;
const children: Child[] = [];
const start = async () => {
  const config = { DEFAULT_TIER: "starter" };
  const child = await startChild({ databaseName: db.databaseName, leaseMs: 2_000, config });
  children.push(child);
  return child;
};

type Tenant = { _id: ObjectId; token: string; placement: Placement };
async function join({ url }: Child): Promise<Tenant> {
  const { organization_name, email, password } = newcomer("build");
  const made = await send(url, "POST", "/org/create", { body: { organization_name, email, password } });
  const signedIn = await send(url, "POST", "/admin/login", { body: { email, password } });
  const _id = new ObjectId(made.body.id as string);
  return { _id, token: signedIn.body.access_token, placement: (await getById(db, _id)).placement! };
}
const makeIndex = ({ url }: Child, { token }: Tenant, key: object) =>
  send(url, "POST", "/org/indexes", { token, body: { key } });
const insert = async ({ url }: Child, { token }: Tenant, n: number) => {
  const body = { _id: `w${n}`, a: n, b: n, c: n };
  return (await send(url, "POST", "/org/documents", { token, body })).status;
};

let service: Child;
let tenants: Tenant[];
beforeAll(async () => {
  client = await createClient(process.env.MONGODB_URL!).connect();
  db = client.db(freshDatabaseName());
  service = await start();
  tenants = [await join(service), await join(service), await join(service)];
  const shared = db.collection("tenant_documents");
  for (let from = 0; from < documentsMax; from += 5_000) {
    const some = Array.from({ length: Math.min(5_000, documentsMax - from) }, (_, n) => from + n);
    const documents = some.flatMap((n) =>
      stored(tenants[n % 3]!.placement, [n], { a: n % 1_000, b: `text ${n * 7_919}`, c: n, text: "x".repeat(200) }),
    );
    await shared.insertMany(documents as never[]);
  }
});
afterAll(async () => {
  await Promise.all(children.map((child) => child.end()));
  await dropAll(db);
  await client.close();
});

/** Writes one document after the other as long as something goes on. @returns how many, and the longest wait in milliseconds */
async function writeDuring(tenant: Tenant, doing: Promise<unknown>) {
  let isOver = false;
  void doing.finally(() => (isOver = true)).catch(() => {});
  const waits: number[] = [];
  for (let n = 0; !isOver; n++) {
    const sentMs = performance.now();
    expect(await insert(service, tenant, Math.floor(Math.random() * 1e12))).toBe(201);
    waits.push(performance.now() - sentMs);
  }
  waits.sort((a, b) => a - b);
  return { writes: waits.length, median: waits[waits.length >> 1]!, longest: waits.at(-1)! };
}

test(`others write on while an index is built over ${documentsMax} documents`, async () => {
  const [builder, other] = tenants as [Tenant, Tenant];
  const quiet = await writeDuring(other, Bun.sleep(2_000));
  const startedMs = performance.now();
  const building = makeIndex(service, builder, { b: 1, a: -1 });
  const during = await writeDuring(other, building);
  const buildMs = performance.now() - startedMs;
  expect((await building).status).toBe(201);
  if (prints) console.log({ documentsMax, quiet, during, buildMs });
  expect(during.writes).toBeGreaterThan(0);
  expect(during.longest).toBeLessThan(Math.max(2_000, buildMs / 2));
});

test("an index whose process was killed while it was built is there in the end, and then others have their turn", async () => {
  const [, other, builder] = tenants as [Tenant, Tenant, Tenant];
  const doomed = await start();
  const asked = makeIndex(doomed, builder, { c: 1, b: 1 }).catch(() => null);
  const turn = { organization_id: builder._id, builds: true };
  // Without a pause: a build of few documents is soon over.
  for (const endMs = performance.now() + 20_000; performance.now() < endMs;) {
    if (await db.collection("operations").findOne(turn)) break;
  }
  doomed.signal("SIGKILL");
  await Promise.all([asked, doomed.died]);
  await until("the index to be made by another process", async () => {
    const { placement } = await getById(db, builder._id);
    return (placement!.indexes ?? []).some(({ name }) => name === "c_1_b_1");
  });
  const names = (await db.collection("tenant_documents").indexes()).map(({ name }) => name);
  expect(names).toContain(`${builder.placement.key}~c_1_b_1`);
  await until(
    "others to have their turn",
    async () => (await makeIndex(service, other, { a: 1, c: 1 })).status === 201,
  );
  expect(await db.collection("operations").countDocuments({ builds: true })).toBe(0);
});
