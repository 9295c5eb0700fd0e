import { ObjectId } from "mongodb";
import { createIndex } from "../../src/document/indexes.ts";
import { flows } from "../../src/flows/index.ts";
import { type DriveDeps, driveAbandoned, enqueue } from "../../src/operation/drive.ts";
import { findById, findOpen } from "../../src/operation/store.ts";
import { entriesOfFlows, type Operation, type OperationKind, type Step } from "../../src/operation/operation.ts";
import { organizations } from "../../src/organization/store.ts";
import type { Tier } from "../../src/tenant/placement.ts";
import { listRetired, retirePlace } from "../../src/tenant/place/retired.ts";
import { collectionOf, type Fleet, type Lodger } from "./fleet.ts";
import { newcomer } from "./service.ts";

type How = { tier: Tier; input: (lodger: Lodger, fleet: Fleet) => Promise<object> | object };

/** How operations of each kind come to be, and in which tier the organization is that they are done with. */
const asked: Record<OperationKind, How[]> = {
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
      input: async ({ _id }, fleet) => ({
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
      input: async ({ _id, placement }, fleet) => {
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
      input: async ({ _id }, fleet) => {
        await createIndex(fleet.deps, _id, { key: { n: 1 } });
        return change("drop");
      },
    },
  ],
  sweep: [
    {
      tier: "professional",
      input: async ({ _id, placement }, fleet) => {
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

/** A step of a kind of operation, and one of the ways in which these come to be. */
export type Way = { kind: OperationKind; step: string; name: string; number: number; how: How };

/** All that there are, by the flows' own list */
export const ways: Way[] = entriesOfFlows(flows).flatMap(([kind, { steps }]) => {
  return asked[kind].flatMap((how, number) =>
    Object.keys(steps).map((step) => ({ kind, step, how, number, name: `${kind}/${step} (${number + 1})` })),
  );
});

/** What becomes of a step. */
export type Trouble = (step: Step<any, any>) => Step<any, any>;
export type StuckDeps = Fleet["deps"] & DriveDeps;

/** The fleet's deps, where one step has a trouble whenever it is taken; `first`: operations begin with it. */
function troubled(fleet: Fleet, { kind, step }: Way, trouble: Trouble, first: string): StuckDeps {
  const flow = flows[kind]!;
  const steps = { ...flow.steps, [step]: trouble(flow.steps[step]!) };
  return { ...fleet.deps, flows: { ...flows, [kind]: { ...flow, first, steps } } };
}

/** An operation that came to its step with a trouble, and what it is done with. */
export type Stuck = Way & { lodger: Lodger; deps: StuckDeps; id: ObjectId };

export const driveOn = (deps: DriveDeps, { _id: organization_id }: { _id: ObjectId }) =>
  driveAbandoned(deps, 30_000, undefined, { organization_id });
export const reload = async ({ db }: Fleet, id: ObjectId): Promise<Operation> => (await findById(db, id))!;

/**
 * Drives an operation that has a trouble at one of its steps until it stops or ends: on its way there, or from there on when
 * the step isn't on its way.
 */
export async function meet(fleet: Fleet, way: Way, trouble: Trouble): Promise<Stuck> {
  const { kind, step, how, name } = way;
  for (const first of [flows[kind]!.first, step]) {
    let met = false;
    const noted: Trouble = (real) => {
      const worse = trouble(real);
      return (deps, operation) => {
        met = true;
        return worse(deps, operation);
      };
    };
    const lodger = await fleet.settle(how.tier);
    if (kind === "provision" || kind === "discard") lodger._id = new ObjectId();
    const deps = troubled(fleet, way, noted, first);
    const input = await how.input(lodger, fleet);
    const wanted = { _id: new ObjectId(), organization_id: lodger._id, kind, input };
    const { _id: id } = (await enqueue(deps, { ...wanted, secret: { password_hash: "x" } }))!;
    while ((await findOpen(fleet.db, lodger._id))?.status === "running") await driveOn(deps, lodger);
    if (met) return { ...way, lodger, deps, id };
  }
  throw new Error(`${name} is never taken`);
}

/** What there is, and whose it is by its organization's id. */
export async function whatIsLeft({ db }: Fleet): Promise<string[]> {
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

/** What is left of one of them. */
export const leftOf = ({ lodger }: Stuck, left: string[]): string[] =>
  left.filter((one) => one.includes(lodger.id) || one === `collection ${lodger.placement.collection}`);
