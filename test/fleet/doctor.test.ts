import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { type Document, ObjectId } from "mongodb";
import type { Report } from "../../src/fleet/doctor.ts";
import { operations } from "../../src/operation/store.ts";
import { organizations } from "../../src/organization/store.ts";
import { enterpriseDatabase, type Placement, placeKey, type TenantIndex } from "../../src/tenant/placement.ts";
import { isRetired, retirePlace } from "../../src/tenant/place/retired.ts";
import { croupier, linesOf } from "../support/command.ts";
import { collectionOf, type Fleet, type Lodger, openFleet, stored } from "../support/fleet.ts";

// The machine may be busy with other things.
setDefaultTimeout(60_000);

let fleet: Fleet;
let starter: Lodger;
let professional: Lodger;
let enterprise: Lodger;
beforeAll(async () => {
  fleet = await openFleet();
  starter = await fleet.settle("starter");
  professional = await fleet.settle("professional");
  enterprise = await fleet.settle("enterprise");
}, 60_000);
afterAll(() => fleet.close(), 60_000);

const master = (collection: string) => ({ database: fleet.db.databaseName, collection });
const shared = () => collectionOf(fleet.db, master("tenant_documents"));
const exists = async (collection: string) =>
  (await fleet.db.listCollections({ name: collection }).toArray()).length > 0;
const at = (placement: Placement, change: Partial<Placement>): Placement => ({ ...placement, ...change });
const organization = (lodger: Lodger, change: Document) =>
  organizations(fleet.db).updateOne({ _id: lodger._id }, change);

/** An organization that was removed, as far as the records say. */
async function removed(): Promise<string> {
  const organization_id = new ObjectId();
  await plantOperation({ organization_id, kind: "remove", status: "succeeded" });
  return organization_id.toHexString();
}
async function plantOperation(fields: Document): Promise<ObjectId> {
  const _id = new ObjectId();
  const now = new Date();
  const lease = { owner: "test", token: "test", until: now, fence: 1 };
  const rest = { step: "plan", input: {}, progress: {}, lease, error: null, history: [], created_at: now };
  await operations(fleet.db).insertOne({ _id, ...rest, ...fields } as never);
  return _id;
}
const expired = () => ({ owner: "gone", token: "gone", until: new Date(0), fence: 1 });
/** An operation whose process has died at a step. */
const abandoned = (organization_id: ObjectId, step: string) =>
  plantOperation({
    ...{ organization_id, kind: "index", step, input: { change: JSON.stringify({ create: index }) } },
    ...{ status: "running", open: true, lease: expired() },
  });
/** A place that a tenant has left, and that has been looked at since. */
async function plantLeft(collection: string): Promise<void> {
  await retirePlace(fleet.db, at(professional.placement, master(collection)), { organization_id: new ObjectId() });
  await fleet.db
    .collection("retired_places")
    .updateMany({ "placement.collection": collection }, { $unset: { due_at: true, placement: true } });
}
const nobody = () => new ObjectId().toHexString();
const index: TenantIndex = { name: "by_n", key: { n: 1 }, unique: false };
const uniqueIndex: TenantIndex = { name: "one_n", key: { "one.n": 1 }, unique: true };

type Planted = {
  expected: Document[];
  /** Shows that it is right again. */
  check?: () => Promise<void>;
  /** Takes back what the doctor mustn't. */
  undo?: () => Promise<unknown>;
};

const leftovers: [string, () => Promise<Planted>][] = [
  [
    "an empty collection at a place that a tenant has left",
    async () => {
      await plantLeft("org_nobody");
      await fleet.db.createCollection("org_nobody");
      return {
        expected: [{ finding: "collection_without_organization", ...master("org_nobody"), documents: 0 }],
        check: async () => expect(await exists("org_nobody")).toBe(false),
      };
    },
  ],
  [
    "a collection with the documents of organizations that live elsewhere, or were removed",
    async () => {
      const left = at(professional.placement, master("org_left"));
      const documents = [...stored(left, [1, 2]), ...stored(at(left, { key: await removed() }), [3])];
      await collectionOf(fleet.db, left).insertMany(documents);
      return {
        expected: [{ finding: "collection_without_organization", ...master("org_left"), documents: 3 }],
        check: async () => expect(await exists("org_left")).toBe(false),
      };
    },
  ],
  [
    "the stage of a move that has ended, with its marker",
    async () => {
      const operation_id = await plantOperation({ organization_id: starter._id, kind: "move", status: "cancelled" });
      const stage = at(professional.placement, { ...master("org_goal~s3"), key: starter.id });
      await collectionOf(fleet.db, stage).insertMany([
        ...stored(stage, [1]),
        { _id: { croupier: "stage" } as never, tenant_id: "~stage", operation_id, fence: 3 },
      ]);
      return { expected: [{ finding: "collection_without_organization", ...master("org_goal~s3"), documents: 2 }] };
    },
  ],
  [
    "an empty stage beside a place that a move went to",
    async () => {
      await plantLeft("org_goal");
      await fleet.db.createCollection("org_goal~s4");
      return { expected: [{ finding: "collection_without_organization", ...master("org_goal~s4"), documents: 0 }] };
    },
  ],
  [
    "an enterprise database of an organization that lives elsewhere",
    async () => {
      const database = enterpriseDatabase(fleet.db.databaseName, professional.id, 7);
      const left = { ...enterprise.placement, database, key: professional.id };
      await collectionOf(fleet.db, left).insertMany(stored(left, [1]));
      return { expected: [{ finding: "database_without_organization", database, organization_id: professional.id }] };
    },
  ],
  [
    "an enterprise database of an organization that was removed",
    async () => {
      const organization_id = await removed();
      const database = enterpriseDatabase(fleet.db.databaseName, organization_id, 1);
      await fleet.db.client.db(database).createCollection("documents");
      return { expected: [{ finding: "database_without_organization", database, organization_id }] };
    },
  ],
  [
    "the stage of a move that has ended in an enterprise database in use",
    async () => {
      const { database } = enterprise.placement;
      const stage = at(enterprise.placement, { collection: "documents~s2" });
      await collectionOf(fleet.db, stage).insertMany(stored(stage, [1]));
      return {
        expected: [{ finding: "collection_without_organization", database, collection: "documents~s2", documents: 1 }],
      };
    },
  ],
  [
    "an organization without its collection",
    async () => {
      const lodger = await fleet.settle("professional");
      await collectionOf(fleet.db, lodger.placement).drop();
      const { database, collection } = lodger.placement;
      return {
        expected: [{ finding: "organization_without_storage", organization_id: lodger.id, database, collection }],
        check: async () => expect(await exists(collection)).toBe(true),
      };
    },
  ],
  [
    "an organization without its database",
    async () => {
      const lodger = await fleet.settle("enterprise");
      await fleet.db.client.db(lodger.placement.database).dropDatabase();
      const { database, collection } = lodger.placement;
      return {
        expected: [{ finding: "organization_without_storage", organization_id: lodger.id, database, collection }],
        check: async () => {
          const names = (await collectionOf(fleet.db, lodger.placement).indexes()).map(({ name }) => name);
          expect(names).toContain("created_at_1");
        },
      };
    },
  ],
  [
    "a collection without the index that each has",
    async () => {
      await collectionOf(fleet.db, professional.placement).dropIndex("created_at_1");
      const { database, collection } = professional.placement;
      const organization_id = professional.id;
      return { expected: [{ finding: "index_missing", organization_id, database, collection, index: "created_at_1" }] };
    },
  ],
  [
    "the shared collection without its indexes",
    async () => {
      await shared().dropIndex("tenant_id_1__id.i_1");
      await shared().dropIndex("tenant_id_1_created_at_1");
      const missing = (index: string) => ({ finding: "index_missing", ...master("tenant_documents"), index });
      return { expected: [missing("tenant_id_1__id.i_1"), missing("tenant_id_1_created_at_1")] };
    },
  ],
  [
    "indexes of a tenant that the shared collection lacks",
    async () => {
      await organization(starter, { $set: { "placement.indexes": [index, uniqueIndex] } });
      const organization_id = starter.id;
      const missing = (name: string) => ({
        finding: "index_missing",
        organization_id,
        ...master("tenant_documents"),
        index: name,
      });
      await shared().deleteMany({ tenant_id: starter.id });
      return {
        expected: [missing("shared~n_1"), missing(`${starter.id}~one_n`)],
        check: async () => {
          const names = (await shared().indexes()).map(({ name }) => name);
          expect(names).toEqual(expect.arrayContaining(["shared~n_1", `${starter.id}~one_n`]));
        },
      };
    },
  ],
  [
    "indexes of the shared collection that nobody asks for any more",
    async () => {
      await shared().createIndex({ tenant_id: 1, old: 1 }, { name: "shared~old_1" });
      // Of one that lives elsewhere, of one that is gone, and one that its tenant was never told of.
      const names = [`${professional.id}.2~x`, `${await removed()}~y`, `${starter.id}~z`];
      for (const name of names) await shared().createIndex({ tenant_id: 1, [name.slice(-1)]: 1 }, { name });
      return {
        expected: ["shared~old_1", ...names].map((name) => ({
          finding: "index_without_tenant",
          ...master("tenant_documents"),
          index: name,
        })),
        check: async () => {
          const left = (await shared().indexes()).map(({ name }) => name);
          expect(left.filter((name) => [...names, "shared~old_1"].includes(String(name)))).toEqual([]);
          expect(left).toContain("tenant_id_1__id.i_1");
        },
      };
    },
  ],
  [
    "shared documents of stays that have ended",
    async () => {
      const keys = [professional.id, `${professional.id}.4`, `${starter.id}.9`, await removed()];
      for (const key of keys) await shared().insertMany(stored(at(starter.placement, { key }), [1, 2]));
      await shared().insertMany(stored(starter.placement, ["stays"], { n: "stays" }));
      return {
        expected: keys.map((tenant_id) => ({ finding: "shared_documents_without_tenant", tenant_id, documents: 2 })),
        check: async () => {
          expect(await shared().countDocuments({ tenant_id: { $in: keys } })).toBe(0);
          expect(await shared().countDocuments({ tenant_id: starter.id })).toBe(1);
        },
      };
    },
  ],
  [
    "documents at a place that was left and that nobody looked at once more",
    async () => {
      const placement = at(professional.placement, master("org_once"));
      await organization(professional, { $addToSet: { place_keys: placeKey(placement) } });
      await collectionOf(fleet.db, placement).insertMany(stored(placement, [1]));
      await fleet.db
        .collection("retired_places")
        .insertOne({ organization_id: professional._id, placement, due_at: new Date(0) });
      return {
        expected: [{ finding: "place_left_unswept", organization_id: professional.id, ...master("org_once") }],
        check: async () => {
          expect(await exists("org_once")).toBe(false);
          const record = await organizations(fleet.db).findOne({ _id: professional._id });
          expect(record?.place_keys).toEqual([placeKey(professional.placement)]);
        },
      };
    },
  ],
  [
    "a place that is held in vain, which is looked at once more before another can have it",
    async () => {
      const placement = at(professional.placement, master("org_vain"));
      await organization(professional, { $addToSet: { place_keys: placeKey(placement) } });
      await collectionOf(fleet.db, placement).insertMany(stored(placement, [1]));
      return {
        expected: [{ finding: "place_held_in_vain", organization_id: professional.id, place: placeKey(placement) }],
        check: async () => {
          expect(await isRetired(fleet.db, placement)).toBe(true);
          await collectionOf(fleet.db, placement).drop();
        },
      };
    },
  ],
  [
    "documents in a tenant's collection of others that have left, and a stage's marker",
    async () => {
      const foreign = await removed();
      const { database, collection } = professional.placement;
      await collectionOf(fleet.db, professional.placement).insertMany([
        ...stored(at(professional.placement, { key: enterprise.id }), [10, 11]),
        ...stored(at(professional.placement, { key: foreign }), [12]),
        { _id: { croupier: "stage" } as never, tenant_id: "~stage", operation_id: new ObjectId(), fence: 3 },
      ]);
      return {
        expected: [
          [enterprise.id, 2],
          [foreign, 1],
          ["~stage", 1],
        ].map(([tenant_id, documents]) => ({
          finding: "foreign_documents",
          organization_id: professional.id,
          database,
          collection,
          tenant_id,
          documents,
        })),
        check: async () => {
          const left = await collectionOf(fleet.db, professional.placement).find().toArray();
          expect(left.map(({ _id }) => String(_id)).sort()).toEqual(["a", "b"]);
        },
      };
    },
  ],
  [
    "notes of moves that have ended, or that nobody knows",
    async () => {
      const ended = await plantOperation({ organization_id: starter._id, kind: "move", status: "succeeded" });
      const unknown = new ObjectId();
      const notes = [ended, ended, unknown].map((operation_id) => ({ operation_id, id: 1 }));
      await fleet.db.collection("move_notes").insertMany(notes);
      return {
        expected: [ended, unknown].map((id) => ({ finding: "notes_of_ended_move", operation_id: id.toHexString() })),
        check: async () => expect(await fleet.db.collection("move_notes").countDocuments()).toBe(0),
      };
    },
  ],
  [
    "a move that stays when its operation has ended",
    async () => {
      const operation_id = await plantOperation({ organization_id: starter._id, kind: "move", status: "succeeded" });
      await organization(starter, { $set: { move: { operation_id, phase: "gate" } } });
      return {
        expected: [
          {
            finding: "move_of_ended_operation",
            organization_id: starter.id,
            operation_id: operation_id.toHexString(),
          },
        ],
        check: async () => {
          const record = await organizations(fleet.db).findOne({ _id: starter._id });
          expect(record?.move).toBeUndefined();
        },
      };
    },
  ],
  [
    "an operation that nobody drives any more",
    async () => {
      const operation_id = (await abandoned(enterprise._id, "apply")).toHexString();
      return {
        expected: [
          {
            finding: "operation_abandoned",
            operation_id,
            organization_id: enterprise.id,
            kind: "index",
            step: "apply",
          },
        ],
        check: async () => {
          const ended = await operations(fleet.db).findOne({ _id: new ObjectId(operation_id) });
          expect(ended?.status).toBe("succeeded");
          const names = (await collectionOf(fleet.db, enterprise.placement).indexes()).map(({ name }) => name);
          expect(names).toContain(index.name);
        },
      };
    },
  ],
  [
    "what a create has left that failed",
    async () => {
      const lodger = await fleet.settle("professional");
      await collectionOf(fleet.db, lodger.placement).deleteMany({});
      await organization(lodger, { $set: { status: "provisioning" } });
      const made = { organization_id: lodger._id, kind: "provision" as const };
      await operations(fleet.db).updateOne(made, { $set: { status: "failed" } });
      return {
        expected: [{ finding: "organization_unfinished", organization_id: lodger.id, status: "provisioning" }],
        check: async () => {
          expect(await organizations(fleet.db).findOne({ _id: lodger._id })).toBeNull();
          expect(await exists(lodger.placement.collection)).toBe(false);
          expect(await fleet.db.collection("admin_users").countDocuments({ organization_id: lodger.id })).toBe(0);
        },
      };
    },
  ],
  [
    "the claim of a doctor that died",
    async () => {
      const _id = new ObjectId();
      const claim = { organization_name: `~claim~${_id}`, status: "deleting", place_keys: ["x/y/z"], placement: null };
      await organizations(fleet.db).insertOne({ _id, ...claim, created_at: new Date(0) } as never);
      return {
        expected: [{ finding: "organization_unfinished", organization_id: _id.toHexString(), status: "deleting" }],
      };
    },
  ],
];

/** What FerretDB lists as any other collection isn't told from one that is empty. */
async function documentsSeen(collection: string): Promise<number | null> {
  const [found] = await fleet.db.listCollections({ name: collection }, { nameOnly: false }).toArray();
  const { type, options = {} } = found as Document;
  return type === "collection" && Object.keys(options).length === 0 ? 0 : null;
}

const foreign: [string, Document][] = [
  ["a view", { viewOn: "tenant_documents", pipeline: [] }],
  ["a time series", { timeseries: { timeField: "at" } }],
  ["a capped collection", { capped: true, size: 4_096 }],
  ["a collection with a validator", { validator: { n: { $gt: 0 } } }],
  ["an empty collection that no record names", {}],
];

const doubts: [string, () => Promise<Planted>][] = [
  ...foreign.map(([what, options], number): [string, () => Promise<Planted>] => [
    `${what} whose name begins like a tenant's`,
    async () => {
      const names = [`org_foreign${number}`, `org_foreign${number}~s2`];
      for (const name of names) await fleet.db.command({ create: name, ...options });
      const documents = await documentsSeen(names[0]!);
      return {
        expected: names.map((name) => ({ finding: "collection_without_organization", ...master(name), documents })),
        undo: () => Promise.all(names.map((name) => fleet.db.dropCollection(name))),
      };
    },
  ]),
  [
    "a collection with documents that name no tenant",
    async () => {
      await fleet.db.collection("org_whose").insertMany([{ n: 1 }, { n: 2, tenant_id: professional.id }]);
      return {
        expected: [{ finding: "collection_without_organization", ...master("org_whose"), documents: 2 }],
        undo: () => fleet.db.dropCollection("org_whose"),
      };
    },
  ],
  [
    "a collection of an organization that nobody knows",
    async () => {
      const place = at(professional.placement, { ...master("org_lost"), key: nobody() });
      await collectionOf(fleet.db, place).insertMany(stored(place, [1]));
      return {
        expected: [{ finding: "collection_without_organization", ...master("org_lost"), documents: 1 }],
        undo: () => fleet.db.dropCollection("org_lost"),
      };
    },
  ],
  [
    "enterprise databases of an organization that nobody knows, and one that holds more than its own",
    async () => {
      const organization_id = nobody();
      const lost = enterpriseDatabase(fleet.db.databaseName, organization_id, 1);
      const mixed = enterpriseDatabase(fleet.db.databaseName, professional.id, 8);
      for (const database of [lost, mixed])
        await fleet.db.client.db(database).collection("documents").insertOne({ a: 1 });
      return {
        expected: [
          { finding: "database_without_organization", database: lost, organization_id },
          { finding: "database_without_organization", database: mixed, organization_id: professional.id },
        ],
        undo: () => Promise.all([lost, mixed].map((database) => fleet.db.client.db(database).dropDatabase())),
      };
    },
  ],
  [
    "shared documents of nobody that is known, and without a tenant",
    async () => {
      const tenant_id = nobody();
      await shared().insertMany(stored(at(starter.placement, { key: tenant_id }), [1]));
      await shared().insertMany([{ n: 1 }, { n: 2, tenant_id: 7 }] as Document[]);
      return {
        expected: [tenant_id, null, "(number)"].map((tenant_id) => ({
          finding: "shared_documents_without_tenant",
          tenant_id,
          documents: 1,
        })),
        undo: () => shared().deleteMany({ tenant_id: { $in: [tenant_id, null, 7] } }),
      };
    },
  ],
  [
    "documents of no tenant, and of one that nobody knows, in a tenant's collection",
    async () => {
      const { database, collection } = professional.placement;
      const tenant_id = nobody();
      await collectionOf(fleet.db, professional.placement).insertMany([{ n: 1 }, { n: 2, tenant_id }]);
      return {
        expected: [tenant_id, null].map((tenant_id) => ({
          finding: "foreign_documents",
          organization_id: professional.id,
          database,
          collection,
          tenant_id,
          documents: 1,
        })),
        undo: () => collectionOf(fleet.db, professional.placement).deleteMany({ n: { $in: [1, 2] } }),
      };
    },
  ],
  [
    "indexes that somebody made in the shared collection",
    async () => {
      const names = ["theirs", `${nobody()}~x`];
      for (const name of names) await shared().createIndex({ [name.slice(-1)]: 1 }, { name });
      return {
        expected: names.map((name) => ({
          finding: "index_without_tenant",
          ...master("tenant_documents"),
          index: name,
        })),
        undo: () => Promise.all(names.map((name) => shared().dropIndex(name))),
      };
    },
  ],
  [
    "an operation that has stopped",
    async () => {
      const open = { open: true, lease: expired(), kind: "move", step: "copy", attempts: 8 };
      const stopped = await plantOperation({ ...open, organization_id: professional._id, status: "stopped" });
      const which = { operation_id: stopped.toHexString(), organization_id: professional.id };
      return {
        expected: [{ finding: "operation_stopped", ...which, kind: "move", step: "copy", attempts: 8 }],
        undo: () => operations(fleet.db).deleteOne({ _id: stopped }),
      };
    },
  ],
  [
    "an operation that keeps failing, and hasn't stopped yet",
    async () => {
      const open = { open: true, status: "running", kind: "stamp", step: "mark", attempts: 2 };
      const lease = { ...expired(), until: new Date(Date.now() + 60_000) };
      const failing = await plantOperation({ ...open, lease, organization_id: professional._id });
      const which = { operation_id: failing.toHexString(), organization_id: professional.id };
      return {
        expected: [{ finding: "operation_failing", ...which, kind: "stamp", step: "mark", attempts: 2 }],
        undo: () => operations(fleet.db).deleteOne({ _id: failing }),
      };
    },
  ],
  [
    "an organization that was never finished, and its collection",
    async () => {
      const lodger = await fleet.settle("professional");
      await organization(lodger, { $set: { status: "provisioning" } });
      return {
        expected: [{ finding: "organization_unfinished", organization_id: lodger.id, status: "provisioning" }],
        undo: () => organization(lodger, { $set: { status: "active" } }),
      };
    },
  ],
  [
    "a damaged record, and the collection that it may mean",
    async () => {
      const lodger = await fleet.settle("professional");
      const connection_details = `Collection: ${lodger.placement.collection}`;
      await organization(lodger, { $set: { placement: null, connection_details }, $unset: { place_keys: true } });
      return {
        expected: [{ finding: "organization_without_place", organization_id: lodger.id }],
        undo: () =>
          organization(lodger, {
            $set: { placement: lodger.placement, place_keys: [placeKey(lodger.placement)] },
          }),
      };
    },
  ],
];

const sorted = (all: object[]) => all.map((one) => JSON.stringify(Object.entries(one).sort())).sort();
const marked = (expected: Document[], mended: boolean | null) => expected.map((one) => ({ ...one, mended }));

describe("croupier doctor", () => {
  test("finds nothing in a sound database of all three tiers", async () => {
    expect(await fleet.examine()).toEqual([]);
    expect(await fleet.repair()).toEqual([]);
  });

  test.each(leftovers)("finds, and with --repair mends, %s", async (_name, plant) => {
    const { expected, check } = await plant();
    const found = await fleet.examine();
    expect(sorted(found)).toEqual(sorted(marked(expected, false)));
    expect(sorted(await fleet.repair())).toEqual(sorted(marked(expected, true)));
    await check?.();
    expect(await fleet.examine()).toEqual([]);
  });

  test.each(doubts)("finds, and never touches, %s", async (_, plant) => {
    const { expected, undo } = await plant();
    const before = await contents();
    expect(sorted(await fleet.examine())).toEqual(sorted(marked(expected, null)));
    expect(sorted(await fleet.repair())).toEqual(sorted(marked(expected, null)));
    expect(await contents()).toEqual(before);
    await undo?.();
    expect(await fleet.examine()).toEqual([]);
  });

  test("never touches a view, a time series or the like of a name that a record names, where the server tells", async () => {
    for (const [number, [, options]] of foreign.entries()) {
      const name = `recorded${number}`;
      await plantLeft(`org_${name}`);
      await fleet.db.command({ create: `org_${name}`, ...options });
      const isTold = (await documentsSeen(`org_${name}`)) === null;
      const finding = { finding: "collection_without_organization", ...master(`org_${name}`) };
      const documents = isTold ? null : 0;
      expect(await fleet.repair()).toEqual([{ ...finding, documents, mended: isTold ? null : true } as Report]);
      if (isTold) await fleet.db.dropCollection(`org_${name}`);
    }
    expect(await fleet.examine()).toEqual([]);
  });

  test("says of an operation that it could not finish what went wrong, and that it isn't mended", async () => {
    const _id = await abandoned(enterprise._id, "apply");
    await operations(fleet.db).updateOne({ _id }, { $set: { "input.change": "no JSON" } });
    const [found, ...others] = await fleet.repair();
    expect(others).toEqual([]);
    expect(found).toMatchObject({ finding: "operation_abandoned", operation_id: _id.toHexString(), mended: false });
    expect(found?.error).toContain("SyntaxError");
    await operations(fleet.db).deleteOne({ _id });
    expect(await fleet.examine()).toEqual([]);
  });

  test("leaves alone what a move that is under way has", async () => {
    const { db } = fleet;
    const stage = at(professional.placement, { ...master("org_under-way~s5"), key: enterprise.id });
    const to = at(professional.placement, { ...master("org_under-way"), key: enterprise.id });
    const lease = { owner: "test", token: "test", until: new Date(Date.now() + 60_000), fence: 1 };
    const progress = { from: enterprise.placement, to, stage, keys: [`${enterprise.id}.6`] };
    const organization_id = enterprise._id;
    const operation_id = await plantOperation({
      organization_id,
      kind: "move",
      status: "running",
      open: true,
      lease,
      progress,
    });
    await collectionOf(db, stage).insertMany(stored(stage, [1]));
    await db.createCollection("org_under-way~s6");
    await collectionOf(db, to).insertMany(stored(to, [1]));
    await shared().insertMany(stored(at(starter.placement, { key: `${enterprise.id}.6` }), [1]));
    await shared().createIndex({ tenant_id: 1, later: 1 }, { name: "shared~later_1" });
    await db.collection("move_notes").insertOne({ operation_id, id: 1 });
    await organization(enterprise, { $set: { move: { operation_id, phase: "journal" } } });
    const before = await contents();
    expect(await fleet.repair()).toEqual([]);
    expect(await contents()).toEqual(before);

    // When it has ended all of it is left over.
    await operations(db).updateOne({ _id: operation_id }, { $set: { status: "cancelled" }, $unset: { open: true } });
    const mended = await fleet.repair();
    expect(mended.map((one: Report) => one.mended)).toEqual(Array(7).fill(true));
    expect(await fleet.examine()).toEqual([]);
  });

  test("as a command prints one JSON object a line and ends with 1 until nothing is left to mend", async () => {
    await plantLeft("org_command");
    await fleet.db.createCollection("org_command");
    const run = async (...flags: string[]) => {
      const { code, out } = await croupier(fleet.db.databaseName, ["doctor", ...flags]);
      return { code, lines: linesOf(out) };
    };
    const finding = { finding: "collection_without_organization", ...master("org_command"), documents: 0 };
    expect(await run()).toEqual({ code: 1, lines: [{ ...finding, mended: false }] });
    expect(await run("--repair")).toEqual({ code: 0, lines: [{ ...finding, mended: true }] });
    expect(await run()).toEqual({ code: 0, lines: [] });
  });
});

/** All that the databases hold. */
async function contents(): Promise<Document> {
  const all: Document = {};
  const { databases } = await fleet.db.admin().listDatabases({ nameOnly: true });
  for (const { name } of databases.filter((one) => one.name.startsWith(fleet.db.databaseName))) {
    const db = fleet.db.client.db(name);
    for (const one of await db.listCollections({}, { nameOnly: true }).toArray()) {
      const documents = await db.collection(one.name).find().sort({ _id: 1 }).toArray();
      // A view has none.
      const indexes = (
        await db
          .collection(one.name)
          .indexes()
          .catch(() => [])
      ).map((found) => found.name);
      indexes.sort();
      all[`${name}/${one.name}`] = { documents, indexes };
    }
  }
  return all;
}
