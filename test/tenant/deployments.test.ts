import { beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { Hono } from "hono";
import { ObjectId } from "mongodb";
import { createIndex } from "../../src/document/indexes.ts";
import { handleError } from "../../src/http/contract/problems.ts";
import { createLogger } from "../../src/log.ts";
import { enqueue, type NewOperation } from "../../src/operation/drive.ts";
import { findById as findOperation, findOpen, operations } from "../../src/operation/store.ts";
import { cancelOperation, resumeOperation } from "../../src/organization/move.ts";
import { removeOrganization } from "../../src/organization/remove.ts";
import { findById, getById, organizations } from "../../src/organization/store.ts";
import type { Actor } from "../../src/session/session.ts";
import { inspect } from "../../src/takeover/inspect.ts";
import { type Placement, placeKey, sharedCollection, type Tier, tiers } from "../../src/tenant/placement.ts";
import { collectionOf, driveToRest, type Fleet, useFleet } from "../support/fleet.ts";
import { useOperatorKey } from "../support/operator.ts";
import { expectProblem } from "../support/problem.ts";
import { type Answer, testConfig, useService } from "../support/service.ts";
import { type Client, joinAs } from "../support/tenants.ts";

setDefaultTimeout(60_000);

const service = useService();
const operatorKey = useOperatorKey(service);
const fleet = useFleet();
beforeAll(async () => {
  fleet.deps.patience = { attemptsMax: 2, pauseMs: () => 0 };
});

async function setRegion({ db }: Pick<Fleet, "db">, _id: ObjectId, region: string): Promise<void> {
  const { placement } = (await getById(db, _id)) as { placement: Placement };
  const changed = { ...placement, region };
  await organizations(db).updateOne({ _id }, { $set: { placement: changed, place_keys: [placeKey(changed)] } });
}

const asked: [method: string, path: string, body?: unknown][] = [
  ["GET", "/documents"],
  ["POST", "/documents", { a: 1 }],
  ["POST", "/documents/count", { filter: {} }],
  ["GET", "/indexes"],
  ["POST", "/indexes", { key: { a: 1 } }],
];
const answersOf = (client: Client) => Promise.all(asked.map(([method, path, body]) => client.ask(method, path, body)));

const detail =
  "The organization's documents are in a region that this service isn't connected to; contact the operator of the service.";
function expectUnreachable(answer: Answer, path: string): void {
  expectProblem(answer, { status: 503, type: "organization_without_place", path });
  expect(answer.body.detail).toBe(detail);
  expect(answer.text).not.toContain("elsewhere");
}

test("an organization in a region that the service has no deployment for is told so, and nobody else notices", async () => {
  const [away, here] = [await joinAs(service), await joinAs(service)];
  await setRegion(service, new ObjectId(away.id), "elsewhere");
  await service.running.deps.leases.renew(new ObjectId(away.id));
  for (const [n, answer] of (await answersOf(away)).entries()) expectUnreachable(answer, `/org${asked[n]![1]}`);
  for (const { status } of await answersOf(here)) expect([200, 201]).toContain(status);
});

test("who moves an organization in a region that the service has no deployment for is told which", async () => {
  const away = await joinAs(service);
  await setRegion(service, new ObjectId(away.id), "elsewhere");
  const path = `/platform/organizations/${away.id}/moves`;
  const answer = await service.send("POST", path, { token: operatorKey(), body: { tier: "starter" } });
  expectProblem(answer, { status: 503, type: "organization_without_place", path });
  expect(answer.body.detail).toContain("the region elsewhere");
});

test("the log names a region that the service has no deployment for, once however many requests ask for it", async () => {
  const lines: string[] = [];
  const log = createLogger("info", { write: (line) => void lines.push(line) });
  const app = new Hono().get("/", (c) => c.text(fleet.deps.deployments.of("elsewhere").home.databaseName));
  app.onError(handleError({ log, config: testConfig() }));
  for (let n = 0; n < 3; n++) expect(await (await app.request("/")).text()).not.toContain("elsewhere");
  expect(lines).toEqual([expect.stringContaining("the region elsewhere")]);
});

test("a rename and a deletion in a region that the service has no deployment for change nothing", async () => {
  const away = await joinAs(service);
  const id = new ObjectId(away.id);
  await setRegion(service, id, "elsewhere");
  const before = await findById(service.db, id);
  const organization_name = `renamed-${process.pid}`;
  expectUnreachable(await away.ask("PUT", "/update", { organization_name }), "/org/update");
  expectUnreachable(await away.ask("DELETE", "/delete"), "/org/delete");
  expect(await findById(service.db, id)).toEqual(before);
  expect(await findOpen(service.db, id)).toBeNull();

  expect((await away.ask("PUT", "/update", { email: `${organization_name}@example.com` })).status).toBe(200);
  await setRegion(service, id, "default");
  expect((await away.ask("PUT", "/update", { organization_name })).status).toBe(200);
  expect((await away.ask("DELETE", "/delete")).status).toBe(204);
});

test("a deletion that is refused for its region cancels no move", async () => {
  const away = await fleet.settle("professional");
  await setRegion(fleet, away._id, "elsewhere");
  const move = operationOf(away._id, "move", { tier: "starter" });
  await enqueue(fleet.deps, move);
  const refused = removeOrganization(fleet.deps, { organizationId: away._id } as Actor);
  await expect(refused).rejects.toMatchObject({ failure: "organization_without_place" });
  expect((await findOperation(fleet.db, move._id))?.cancel_requested).toBeUndefined();

  await setRegion(fleet, away._id, "default");
  expect((await driveToRest(fleet, move._id)).status).toBe("succeeded");
});

const operationOf = (organization_id: ObjectId, kind: NewOperation["kind"], input: object): NewOperation => ({
  _id: new ObjectId(),
  organization_id,
  kind,
  input,
});
const index = { name: "a_1", key: { a: 1 as const }, unique: false };
const changing = (change: object) => ({ change: JSON.stringify(change) });

const stopping: [what: string, tier: Tier, kind: NewOperation["kind"], input: object][] = [
  ["a deletion", "enterprise", "remove", {}],
  ["a move to professional", "starter", "move", { tier: "professional" }],
  ["a move to enterprise", "professional", "move", { tier: "enterprise" }],
  ["a move to starter", "enterprise", "move", { tier: "starter" }],
  ["a new index in starter", "starter", "index", changing({ create: { ...index, name: "b_1", key: { b: 1 } } })],
  ["the drop of an index in starter", "starter", "index", changing({ drop: index })],
  ["the drop of an index in enterprise", "enterprise", "index", changing({ drop: index })],
];

test.each(stopping)(
  "%s stops in a region that the service has no deployment for, and goes on where there is one",
  async (_what, tier, kind, input) => {
    const away = await fleet.settle(tier);
    await createIndex(fleet.deps, away._id, index);
    await setRegion(fleet, away._id, "elsewhere");
    const before = await getById(fleet.db, away._id);
    const operation = operationOf(away._id, kind, input);
    await enqueue(fleet.deps, operation);
    const stopped = await driveToRest(fleet, operation._id);
    expect(stopped).toMatchObject({ status: "stopped", error: { message: expect.stringContaining("elsewhere") } });
    expect((await getById(fleet.db, away._id)).placement).toEqual(before.placement);

    await setRegion(fleet, away._id, "default");
    await resumeOperation(fleet.deps, operation._id);
    expect((await driveToRest(fleet, operation._id)).status).toBe("succeeded");
    expect(await findById(fleet.db, away._id)).toEqual(kind === "remove" ? null : expect.anything());
    expect(await fleet.examine()).toEqual([]);
  },
);

test.each(stopping.filter(([, tier]) => tier === "starter"))(
  "%s that has stopped in a region that the service has no deployment for can be cancelled",
  async (_what, tier, kind, input) => {
    const away = await fleet.settle(tier);
    await createIndex(fleet.deps, away._id, index);
    await setRegion(fleet, away._id, "elsewhere");
    const operation = operationOf(away._id, kind, input);
    await enqueue(fleet.deps, operation);
    expect((await driveToRest(fleet, operation._id)).status).toBe("stopped");
    await cancelOperation(fleet.deps, operation._id);
    expect((await driveToRest(fleet, operation._id)).status).toBe("cancelled");
    await setRegion(fleet, away._id, "default");
    expect(await fleet.examine()).toEqual([]);
  },
);

test("a move whose region the service loses after it was planned stops, and arrives where there is one again", async () => {
  const away = await fleet.settle("professional");
  const move = operationOf(away._id, "move", { tier: "enterprise" });
  await enqueue(fleet.deps, move);
  const setRegions = async (region: string) => {
    await setRegion(fleet, away._id, region);
    await operations(fleet.db).updateOne({ _id: move._id }, { $set: { "progress.from.region": region } });
  };
  fleet.deps.onStep = async ({ step }, moment) => {
    if (step !== "journal" || moment !== "recorded") return;
    delete fleet.deps.onStep;
    await setRegions("elsewhere");
    throw new Error("died");
  };
  const stopped = await driveToRest(fleet, move._id);
  const error = { message: expect.stringContaining("elsewhere") };
  expect(stopped).toMatchObject({ status: "stopped", step: "journal", error });

  await setRegions("default");
  await resumeOperation(fleet.deps, move._id);
  expect((await driveToRest(fleet, move._id)).status).toBe("succeeded");
  expect((await getById(fleet.db, away._id)).tier).toBe("enterprise");
  expect(await fleet.examine()).toEqual([]);
});

test.each(tiers)(
  "the doctor says of an organization in %s that it has no deployment for its region, and looks at the others",
  async (tier) => {
    const [away, here] = [await fleet.settle(tier), await fleet.settle("professional")];
    if (tier === "starter") {
      // Nobody else's.
      await createIndex(fleet.deps, away._id, { key: { own: 1 } });
      const shared = fleet.db.collection(sharedCollection);
      await shared.dropIndex("shared~own_1");
      await shared.createIndex({ tenant_id: 1, odd: 1 }, { name: `${away.id}~odd` });
    }
    await setRegion(fleet, away._id, "elsewhere");
    await fleet.db.collection(here.placement.collection).dropIndex("created_at_1");
    const of = (findings: { finding: string; mended: boolean | null }[]) =>
      findings.map(({ finding, mended }) => [finding, mended]).sort();
    const unreachable = ["organization_without_place", null];
    const others = [...(tier === "starter" ? [["index_without_tenant", null]] : []), unreachable];
    expect(of(await fleet.examine())).toEqual([["index_missing", false], ...others]);
    expect(of(await fleet.repair())).toEqual([["index_missing", true], ...others]);
    expect(await findOpen(fleet.db, away._id)).toBeNull();

    await setRegion(fleet, away._id, "default");
    await fleet.repair();
    expect(await fleet.examine()).toEqual([]);
  },
);

test("the look at the records looks for no collection of an organization that is in another region", async () => {
  const away = await fleet.settle("professional");
  await collectionOf(fleet.db, away.placement).drop();
  expect((await inspect(fleet.deps)).map(({ finding }) => finding)).toEqual(["organization_without_collection"]);
  await setRegion(fleet, away._id, "elsewhere");
  expect(await inspect(fleet.deps)).toEqual([]);
});
