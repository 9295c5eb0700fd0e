import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { type Db, ObjectId } from "mongodb";
import { admins } from "../../src/admin/store.ts";
import { operations } from "../../src/operation/store.ts";
import { organizations } from "../../src/organization/store.ts";
import { findViolations } from "../support/invariants.ts";
import { leaveBehind, settle, type Tenant } from "../support/scenarios.ts";
import { newcomer, useService } from "../support/service.ts";

// The machine may be busy with other things.
setDefaultTimeout(60_000);

const service = useService();

const organization = (db: Db, { id }: Tenant, $set: object) =>
  organizations(db).updateOne({ _id: new ObjectId(id) }, { $set });
const admin = (db: Db, { id }: Tenant, $set: object) => admins(db).updateOne({ organization_id: id }, { $set });
const collection = ({ organization_name }: Tenant) => `org_${organization_name}`;

/** What is planted, and the violations that have to be found: these and no others. */
const rows: [string, (db: Db, tenant: Tenant) => Promise<unknown>, RegExp[]][] = [
  ["nothing", async () => {}, []],
  [
    "no admin",
    (db, { id }) => admins(db).deleteOne({ organization_id: id }),
    [/has 0 admins/, /not found by its email/],
  ],
  [
    "a second admin",
    async (db, { id, organization_name }) => {
      const found = await admins(db).findOne({ organization_id: id });
      const email = `second-${organization_name}@example.com`;
      await admins(db).insertOne({ ...found!, _id: new ObjectId(), email, email_keys: [email] });
    },
    [/has 2 admins/, /its admin second-/],
  ],
  [
    "another email at the admin",
    (db, tenant) => admin(db, tenant, { email: "x@example.com", email_keys: ["x@example.com"] }),
    [/its admin x@example.com/, /not found by its email/],
  ],
  ["another name at the admin", (db, tenant) => admin(db, tenant, { organization_name: "old" }), [/is named old/]],
  [
    "an email that is still claimed",
    (db, tenant) => admin(db, tenant, { email_keys: [tenant.email, "claimed@example.com"] }),
    [/holds the keys .*claimed@/],
  ],
  ["an admin of nobody", (db) => leaveBehind(db, newcomer(), { admin: true }), [/belongs to no organization/]],
  [
    "an organization that stays provisioning",
    (db) => leaveBehind(db, newcomer(), { organization: true }),
    [/stays provisioning/],
  ],
  ["one that stays deleting", (db, tenant) => organization(db, tenant, { status: "deleting" }), [/stays deleting/]],
  [
    "no place",
    (db, tenant) => organization(db, tenant, { placement: null }),
    [/has no place/, /belongs to no organization/],
  ],
  [
    "a place that is still claimed",
    (db, tenant) =>
      organizations(db).updateOne({ _id: new ObjectId(tenant.id) }, { $push: { place_keys: "default/x/y" } }),
    [/holds the places .*default\/x\/y/],
  ],
  [
    "a place elsewhere",
    (db, tenant) => organization(db, tenant, { "placement.collection": "org_elsewhere" }),
    [/holds the places/, /has no collection org_elsewhere/, /collection .* belongs to no organization/],
  ],
  ["no collection", (db, tenant) => db.dropCollection(collection(tenant)), [/has no collection/]],
  [
    "no index on created_at",
    (db, tenant) => db.collection(collection(tenant)).dropIndex("created_at_1"),
    [/has no index created_at_1/],
  ],
  [
    "an index of its own lost",
    (db, tenant) => db.collection(collection(tenant)).dropIndex("by_n"),
    [/has no index by_n/],
  ],
  [
    "a document lost",
    (db, tenant) => db.collection(collection(tenant)).deleteOne({ n: 2 }),
    [/holds 2 documents, not the 3/],
  ],
  [
    "another's document",
    (db, tenant) => db.collection<{ _id: string }>(collection(tenant)).insertOne({ _id: "another's" }),
    [/holds 4 documents/, /another's documents/],
  ],
  [
    "the organization gone altogether",
    async (db, { id, ...tenant }) => {
      await organizations(db).deleteOne({ _id: new ObjectId(id) });
      await admins(db).deleteOne({ organization_id: id });
      await db.dropCollection(`org_${tenant.organization_name}`);
    },
    [/is gone/],
  ],
  ["a collection of nobody", (db) => db.createCollection("org_nobody"), [/org_nobody belongs to no organization/]],
  [
    "an operation that stays open",
    // Its lease never runs out, so the worker leaves it alone.
    (db, { id }) =>
      operations(db).updateOne(
        { organization_id: new ObjectId(id) },
        { $set: { open: true, status: "running", "lease.until": new Date(Date.now() + 3_600_000) } },
      ),
    [/operation provision\/activate stays running/],
  ],
  [
    "a secret that outlives its operation",
    (db, { id }) => operations(db).updateOne({ organization_id: new ObjectId(id) }, { $set: { secret: { a: 1 } } }),
    [/with its secret/],
  ],
];

describe("the checker finds what is planted, and nothing else:", () => {
  test.each(rows)("%s", async (_, plant, expected) => {
    const { db } = service;
    const tenant = await settle({ url: service.url, db });
    await plant(db, tenant);
    const violations = await findViolations(db, [tenant.belongings]);
    const unexpected = violations.filter((violation) => !expected.some((pattern) => pattern.test(violation)));
    const missing = expected.filter((pattern) => !violations.some((violation) => pattern.test(violation)));
    expect({ unexpected, missing }).toEqual({ unexpected: [], missing: [] });

    for (const { name } of await db.listCollections({}, { nameOnly: true }).toArray()) {
      if (name.startsWith("org_")) await db.dropCollection(name);
      else await db.collection(name).deleteMany({});
    }
  });
});
