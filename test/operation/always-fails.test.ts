import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { ObjectId } from "mongodb";
import { createIndex } from "../../src/document/indexes.ts";
import type { Report } from "../../src/fleet/doctor.ts";
import { flows } from "../../src/flows/index.ts";
import { type DriveDeps, driveAbandoned, enqueue } from "../../src/operation/drive.ts";
import type { Operation } from "../../src/operation/operation.ts";
import { findById, findOpen, operations } from "../../src/operation/store.ts";
import { viewOperation } from "../../src/operation/view.ts";
import { cancelOperation, resumeOperation } from "../../src/organization/move.ts";
import { removeOrganization } from "../../src/organization/remove.ts";
import { getById, organizations } from "../../src/organization/store.ts";
import type { Actor } from "../../src/session/session.ts";
import type { Tier } from "../../src/tenant/placement.ts";
import { listRetired, retirePlace } from "../../src/tenant/retired.ts";
import { collectionOf, type Fleet, type Lodger, openFleet } from "../support/fleet.ts";
import { newcomer } from "../support/service.ts";

setDefaultTimeout(60_000);

/** Fewer than the service has, as each takes its time. */
const tries = 3;

let fleet: Fleet;
let neighbours: Record<Tier, Lodger>;
beforeAll(async () => {
  fleet = await openFleet();
  fleet.deps.patience = { attemptsMax: tries, pauseMs: () => 0 };
  const [starter, professional, enterprise] = await Promise.all(
    (["starter", "professional", "enterprise"] as const).map((tier) => fleet.settle(tier)),
  );
  neighbours = { starter: starter!, professional: professional!, enterprise: enterprise! };
}, 60_000);
afterAll(() => fleet.close(), 60_000);

/** The fleet's deps, with one step that throws whenever it is taken; `first`: operations begin with it. */
function failingAt(kind: string, step: string, first = flows[kind]!.first): DriveDeps & Fleet["deps"] {
  const failing = async () => {
    throw new Error("planted");
  };
  const flow = flows[kind]!;
  return { ...fleet.deps, flows: { ...flows, [kind]: { ...flow, first, steps: { ...flow.steps, [step]: failing } } } };
}

/** How an operation of each kind comes to be, and the organization that it is done with; null: it has none yet. */
const asked: Record<string, { tier: Tier; input: (lodger: Lodger) => Promise<object> | object }[]> = {
  provision: [
    {
      tier: "professional",
      input: () => {
        const { organization_name, email } = newcomer("made");
        return { organization_name, email, admin_id: new ObjectId(), tier: "professional" };
      },
    },
  ],
  update: [
    {
      tier: "professional",
      input: async ({ _id }) => ({
        admin_id: (await fleet.db.collection("admin_users").findOne({ organization_id: _id.toHexString() }))!._id,
        organization_name: newcomer("renamed").organization_name,
        email: newcomer("renamed").email,
        updated_at: new Date(),
      }),
    },
  ],
  remove: [{ tier: "professional", input: () => ({}) }],
  discard: [{ tier: "professional", input: () => ({ admin_id: new ObjectId() }) }],
  move: [
    { tier: "professional", input: () => ({ tier: "starter" }) },
    { tier: "starter", input: () => ({ tier: "enterprise" }) },
  ],
  stamp: [
    {
      tier: "professional",
      input: async ({ _id, placement }) => {
        await collectionOf(fleet.db, placement).insertOne({ plain: true });
        await organizations(fleet.db).updateOne({ _id }, { $set: { "placement.unstamped": true } });
        return {};
      },
    },
  ],
  index: [
    { tier: "starter", input: () => change("create") },
    {
      tier: "starter",
      input: async ({ _id }) => {
        await createIndex(fleet.deps, _id, { key: { n: 1 } });
        return change("drop");
      },
    },
  ],
  sweep: [
    {
      tier: "professional",
      input: async ({ _id, placement }) => {
        const left = { ...placement, collection: `${placement.collection}~9` };
        await retirePlace(fleet.db, left, { organization_id: _id });
        const [{ _id: retired_id } = {}] = (await listRetired(fleet.db)).filter((one) =>
          one.organization_id.equals(_id),
        );
        return { retired_id };
      },
    },
  ],
};
const change = (what: "create" | "drop") => ({
  change: JSON.stringify({ [what]: { name: "n_1", key: { n: 1 }, unique: false } }),
});

type Stuck = {
  name: string;
  kind: string;
  step: string;
  lodger: Lodger;
  deps: ReturnType<typeof failingAt>;
  id: ObjectId;
};

const driveOn = (deps: DriveDeps, { _id: organization_id }: { _id: ObjectId }) =>
  driveAbandoned(deps, 30_000, undefined, { organization_id });
const reload = async (id: ObjectId): Promise<Operation> => (await findById(fleet.db, id))!;

/** Lets an operation fail at a step as often as it is tried: on its way there, or from there on when it isn't on its way. */
async function stick(kind: string, step: string, how: (typeof asked)[string][number], name: string): Promise<Stuck> {
  for (const first of [flows[kind]!.first, step]) {
    const lodger = await fleet.settle(how.tier);
    if (kind === "provision" || kind === "discard") lodger._id = new ObjectId();
    const deps = failingAt(kind, step, first);
    const wanted = { _id: new ObjectId(), organization_id: lodger._id, kind, input: await how.input(lodger) };
    const { _id: id } = (await enqueue(deps, { ...wanted, secret: { password_hash: "x" } }))!;
    while ((await findOpen(fleet.db, lodger._id))?.status === "running") await driveOn(deps, lodger);
    if ((await reload(id)).status === "stopped") return { name, kind, step, lodger, deps, id };
  }
  throw new Error(`${name} doesn't fail`);
}

const ways = Object.entries(flows).flatMap(([kind, { steps }]) =>
  (asked[kind] ?? [null]).flatMap((how, number) =>
    Object.keys(steps).map((step) => ({ kind, step, how, number, name: `${kind}/${step} (${number + 1})` })),
  ),
);

describe("a step that always fails", () => {
  let [mended, removed]: Stuck[][] = [[], []];
  let reports: Report[] = [];
  beforeAll(async () => {
    const stickAll = (some: typeof ways) =>
      Promise.all(some.map(({ kind, step, how, name }) => (how ? stick(kind, step, how, name) : Promise.reject(name))));
    mended = await stickAll(ways.filter(({ number }) => number === 0));
    removed = await stickAll(ways.filter(({ kind }) => !["provision", "discard", "remove"].includes(kind)));
    reports = await fleet.examine();
  }, 60_000);

  test("ends in an operation that has stopped after so many tries, which the doctor and operators see", async () => {
    for (const { name, kind, step, id } of [...mended!, ...removed!]) {
      const seen = viewOperation(await reload(id), new Date());
      const shown = { kind, phase: step, status: "stopped", attempts: tries, error: "planted" };
      expect(seen, name).toMatchObject(shown);
      const finding = {
        finding: "operation_stopped",
        operation_id: id.toHexString(),
        kind,
        step,
        attempts: tries,
      };
      expect(reports.filter((one) => "operation_id" in one && one.operation_id === finding.operation_id)).toMatchObject(
        [{ ...finding, mended: null }],
      );
    }
  });

  test("doesn't touch another organization", async () => {
    for (const { _id, placement } of Object.values(neighbours)) {
      expect(await collectionOf(fleet.db, placement).countDocuments({ tenant_id: placement.key })).toBe(2);
      expect(await getById(fleet.db, _id)).toMatchObject({ status: "active", placement });
    }
  });

  test("keeps nobody from deleting the organization: nothing of it stays, whatever is stuck", async () => {
    await Promise.all(
      removed!.map(async ({ name, lodger, deps }) => {
        const actor = { organizationId: lodger._id } as Actor;
        await removeOrganization(deps, actor).catch((error) => Promise.reject(new Error(name, { cause: error })));
      }),
    );
    const left = await whatIsLeft();
    for (const { name, lodger } of removed!) {
      const of = left.filter((one) => one.includes(lodger.id) || one === `collection ${lodger.placement.collection}`);
      expect(of, name).toEqual([]);
    }
  });

  test("is passed by an operator: cancelled before the switch, resumed once it is mended after it", async () => {
    for (const { name, kind, step, lodger, deps, id } of mended!) {
      if (flows[kind]!.undo?.[step]) {
        await cancelOperation(deps, id);
        await driveOn(deps, lodger);
        expect((await reload(id)).status, name).toBe(kind === "provision" ? "failed" : "cancelled");
        continue;
      }
      await driveOn(deps, lodger);
      expect((await reload(id)).status, name).toBe("stopped");
      await resumeOperation(fleet.deps, id);
      while ((await findOpen(fleet.db, lodger._id))?.status === "running") await driveOn(fleet.deps, lodger);
      expect(["succeeded", "failed", "cancelled"], name).toContain((await reload(id)).status);
    }
    expect(await operations(fleet.db).countDocuments({ open: true })).toBe(0);
  });
});

/** What there is, and whose it is by its organization's id. */
async function whatIsLeft(): Promise<string[]> {
  const { db } = fleet;
  const of = async (name: string, field: string, filter = {}) =>
    (await db.collection(name).distinct(field, filter)).map((owner) => `${name} of ${owner}`);
  const noted = { _id: { $in: await db.collection("move_notes").distinct("operation_id") } };
  const names = (await db.listCollections({}, { nameOnly: true }).toArray()).map(({ name }) => name);
  const own = names.filter((name) => name.startsWith("org_"));
  const { databases } = await db.admin().listDatabases({ nameOnly: true });
  const parts = await Promise.all([
    of("organizations", "_id"),
    of("admin_users", "organization_id"),
    of("tenant_documents", "tenant_id"),
    of("operations", "organization_id", { open: true }),
    of("operations", "organization_id", noted),
    ...own.map((name) => of(name, "tenant_id")),
  ]);
  const indexes = (await db.collection("tenant_documents").indexes()).map(({ name }) => `index ${name}`);
  const places = [...own.map((name) => `collection ${name.split("~")[0]}`), ...databases.map(({ name }) => name)];
  return [...parts.flat(), ...indexes, ...places];
}
