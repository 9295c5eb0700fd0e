import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { ObjectId } from "mongodb";
import { enqueue } from "../../src/operation/drive.ts";
import { resumeOperation } from "../../src/organization/move.ts";
import { findById, getById, organizations } from "../../src/organization/store.ts";
import { type Placement, placeKey } from "../../src/tenant/placement.ts";
import { driveToRest, type Fleet, openFleet } from "../support/fleet.ts";
import { expectProblem } from "../support/problem.ts";
import { useService } from "../support/service.ts";
import { type Client, joinAs } from "../support/tenants.ts";

setDefaultTimeout(60_000);

const service = useService();
let fleet: Fleet;
beforeAll(async () => {
  fleet = await openFleet();
  fleet.deps.patience = { attemptsMax: 2, pauseMs: () => 0 };
});
afterAll(() => fleet.close());

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

test("an organization in a region that the service has no deployment for is told so, and nobody else notices", async () => {
  const [away, here] = [await joinAs(service), await joinAs(service)];
  await setRegion(service, new ObjectId(away.id), "elsewhere");
  await service.running.deps.leases.renew(new ObjectId(away.id));
  for (const [n, answer] of (await answersOf(away)).entries())
    expectProblem(answer, { status: 503, type: "organization_without_place", path: `/org${asked[n]![1]}` });
  for (const { status } of await answersOf(here)) expect([200, 201]).toContain(status);
});

test("an operation in a region that the service has no deployment for stops, and goes on where there is one", async () => {
  const [away, here] = [await fleet.settle("enterprise"), await fleet.settle("professional")];
  await setRegion(fleet, away._id, "elsewhere");
  const removal = { _id: new ObjectId(), organization_id: away._id, kind: "remove" as const, input: {} };
  await enqueue(fleet.deps, removal);
  const stopped = await driveToRest(fleet, removal._id);
  expect(stopped).toMatchObject({ status: "stopped", error: { message: expect.stringContaining("elsewhere") } });
  expect((await findById(fleet.db, here._id))?.status).toBe("active");

  await setRegion(fleet, away._id, "default");
  await resumeOperation(fleet.deps, removal._id);
  expect((await driveToRest(fleet, removal._id)).status).toBe("succeeded");
  expect(await findById(fleet.db, away._id)).toBeNull();
  expect(await fleet.examine()).toEqual([]);
});

test("the doctor says of an organization in a region that it has no deployment for, and looks at the others", async () => {
  const [away, here] = [await fleet.settle("professional"), await fleet.settle("professional")];
  await setRegion(fleet, away._id, "elsewhere");
  await fleet.db.collection(here.placement.collection).dropIndex("created_at_1");
  const found = (await fleet.examine()).map(({ finding }) => finding);
  expect(found.sort()).toEqual(["index_missing", "organization_without_place"]);
});
