import { beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { type Document, ObjectId } from "mongodb";
import { doctor, type Report } from "../../src/fleet/doctor.ts";
import { findById, operations, start } from "../../src/operation/store.ts";
import { useOperatorKey } from "../support/operator.ts";
import { expectProblem } from "../support/problem.ts";
import { useService } from "../support/service.ts";
import { type Client, joinAs, moveTo } from "../support/tenants.ts";

setDefaultTimeout(60_000);
const service = useService();
const operator = useOperatorKey(service);

const superseded = { kind: "teleport", step: "beam", input: {}, progress: {}, held_ms: 0 };
/** As a newer version may have left them. */
const left: [what: string, fields: Document][] = [
  ["an unknown kind", { kind: "teleport", step: "beam" }],
  ["an unknown step", { kind: "move", step: "beam", input: { tier: "starter" } }],
  ["a deletion that has come into the place of an unknown kind", { kind: "remove", step: "locate", superseded }],
];

describe.each(left)("an operation of another version: %s", (_, fields) => {
  let me: Client;
  let id: ObjectId;
  beforeAll(async () => {
    me = await joinAs(service, "other");
    await me.ask("POST", "/documents", { _id: 1 });
    id = new ObjectId();
    const { kind, step, input = {}, ...more } = fields;
    const wanted = { _id: id, organization_id: new ObjectId(me.id), kind, step, input };
    await start(service.db, wanted, "a newer version", 0);
    if (Object.keys(more).length > 0) await operations(service.db).updateOne({ _id: id }, { $set: more });
  }, 60_000);

  const examine = async (repair: boolean) => {
    const reports: Report[] = [];
    await doctor(service.running.deps, { repair }, (one) => reports.push(one));
    return reports;
  };
  const operationsPath = () => `/platform/operations/${id.toHexString()}`;

  test("is left alone by the worker, which drives others, and counts no try", async () => {
    const another = await joinAs(service, "another");
    await moveTo(service, another.id, "starter");
    await moveTo(service, another.id, "professional");
    const found = (await findById(service.db, id))!;
    expect(found).toMatchObject({ status: "running", open: true, lease: { owner: "a newer version", fence: 1 } });
    expect([found.attempts, found.error, found.history.length]).toEqual([undefined, null, 1]);
  });

  test("lets documents be read and written, and keeps the organization from being changed with 503 or 409", async () => {
    expect((await me.ask("GET", "/documents/1")).status).toBe(200);
    expect((await me.ask("PATCH", "/documents/1", { a: 1 })).status).toBe(200);
    const pending = { status: 503, type: "operation_pending" };
    expectProblem(await me.ask("PUT", "/update", { organization_name: `x${Date.now()}` }), {
      ...pending,
      path: "/org/update",
    });
    const index = await me.ask("POST", "/indexes", { key: { a: 1 } });
    expectProblem(index, { ...pending, path: "/org/indexes" });
    const path = `/platform/organizations/${me.id}/moves`;
    const moved = await service.send("POST", path, { token: operator(), body: { tier: "starter" } });
    expectProblem(moved, { status: 409, type: "operation_open", path });
    if (fields.kind !== "remove") {
      expectProblem(await me.ask("DELETE", "/delete"), { ...pending, path: "/org/delete" });
      expect((await me.ask("GET", "/documents/1")).status).toBe(200);
    }
    expect((await findById(service.db, id))!.lease.fence).toBe(1);
  });

  test("is shown to operators, who can't cancel it here", async () => {
    const get = (query: string) => service.send("GET", query, { token: operator() });
    const shown = { kind: fields.kind, phase: fields.step, status: "running", attempts: 0 };
    expect((await get(operationsPath())).body).toMatchObject(shown);
    const { body } = await get(`/platform/operations?kind=${fields.kind}&organization_id=${me.id}`);
    expect(body.operations).toMatchObject([shown]);
    const path = `${operationsPath()}/cancel`;
    const before = await findById(service.db, id);
    const cancelled = await service.send("POST", path, { token: operator() });
    expectProblem(cancelled, { status: 409, type: "operation_state", path });
    expect(await findById(service.db, id)).toEqual(before);
  });

  test("is reported by the doctor, which takes nothing for nobody's as long as it is open", async () => {
    await service.db.collection("org_nobodys").insertOne({ a: 1 } as Document);
    const of = (reports: Report[]) =>
      reports.map(({ finding, mended, ...rest }) => [finding, mended, (rest as Document).operation_id]);
    for (const repair of [false, true])
      expect(of(await examine(repair))).toContainEqual(["operation_unknown", null, id.toHexString()]);
    expect(of(await examine(true)).filter(([finding]) => finding === "collection_without_organization")).toEqual([]);
    expect((await findById(service.db, id))!.lease.fence).toBe(1);
    await service.db.collection("org_nobodys").drop();
  });
});
