import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { ObjectId } from "mongodb";
import { type RunningService, startService } from "../../src/serve.ts";
import { createLogger } from "../../src/log.ts";
import { doctor, type Report } from "../../src/fleet/doctor.ts";
import { findById, getById } from "../../src/organization/store.ts";
import { reactivateOrganization, suspendOrganization } from "../../src/session/suspend.ts";
import { until } from "../support/crash.ts";
import { makeOperatorKey } from "../support/operator.ts";
import { newcomer, send, stopAndDrop, testConfig } from "../support/service.ts";

// An organization is suspended at each step of an operation that is under way.
const defects: string[] = [];
let running: RunningService;
let operatorKey: string;
let at = "";
let act: (organizationId: ObjectId) => Promise<unknown>;
beforeAll(async () => {
  const log = createLogger("error", { write: (line) => void defects.push(line) });
  running = await startService(testConfig(), log, async ({ kind, step, organization_id }, moment) => {
    if (at !== `${kind}/${step}` || moment !== "before") return;
    at = "";
    await act(organization_id);
  });
  await running.ready;
  operatorKey = await makeOperatorKey(running.deps.db);
}, 60_000);
afterAll(async () => {
  await stopAndDrop(running);
}, 60_000);
beforeEach(() => {
  act = (id) => suspendOrganization(running.deps, id, "meanwhile");
});

const ask = (method: string, path: string, options?: Parameters<typeof send>[3]) =>
  send(running.url, method, path, options);
const join = async () => {
  const who = newcomer("meanwhile");
  const { body } = await ask("POST", "/org/create", { body: who });
  return { ...who, _id: new ObjectId(body.id as string), token: await signIn(who) };
};
const signIn = async ({ email, password }: { email: string; password: string }): Promise<string> => {
  const { status, body, text } = await ask("POST", "/admin/login", { body: { email, password } });
  if (status !== 200) throw new Error(text);
  return body.access_token;
};
const documents = Array.from({ length: 40 }, (_, n) => ({ _id: n, n }));
const fill = (token: string) => ask("POST", "/org/documents", { token, body: documents });

/** Suspended, and else as if it had not been: it lives at one place, with all of its documents, and no move is left over. */
async function expectWhole(who: { _id: ObjectId; email: string; password: string }) {
  const { db } = running.deps;
  await until("the operation to end", async () => {
    const open = await db.collection("operations").countDocuments({ organization_id: who._id, open: true });
    return open === 0;
  });
  const organization = await getById(db, who._id);
  expect(organization).toMatchObject({ status: "suspended", suspension: { reason: "meanwhile" } });
  expect(organization.move).toBeUndefined();
  await reactivateOrganization(running.deps, who._id);
  const found = await ask("GET", "/org/documents?limit=100&sort=_id", { token: await signIn(who) });
  expect(found.body.documents).toEqual(documents);
}

describe("an organization that is suspended while", () => {
  test.each(["email", "organization"])("its rename is at %s keeps its name and email", async (step) => {
    const who = await join();
    await fill(who.token);
    const next = newcomer("never");
    at = `update/${step}`;
    const renamed = await ask("PUT", "/org/update", {
      token: who.token,
      body: { ...next, password: "Another-Horse-8" },
    });
    expect({ at, status: renamed.status }).toEqual({ at: "", status: 404 });
    const organization = await getById(running.deps.db, who._id);
    expect([organization.organization_name, organization.email]).toEqual([who.organization_name, who.email]);
    await expectWhole(who);
    // What was claimed for it is free.
    expect((await ask("POST", "/org/create", { body: next })).status).toBe(201);
  });

  test.each(["admin", "place", "seal", "placement"])(
    "its rename is at %s, past its switch, is renamed and stays suspended",
    async (step) => {
      const who = await join();
      await fill(who.token);
      const { organization_name } = newcomer("renamed");
      at = `update/${step}`;
      const renamed = await ask("PUT", "/org/update", { token: who.token, body: { organization_name } });
      expect({ at, status: renamed.status }).toEqual({ at: "", status: 200 });
      expect(renamed.body).toMatchObject({
        organization_name,
        connection_details: `Collection: org_${organization_name}`,
      });
      await expectWhole(who);
    },
  );

  test.each(["journal", "copy", "gate", "clean"])("its move is at %s arrives and stays suspended", async (step) => {
    const who = await join();
    await fill(who.token);
    at = `move/${step}`;
    const path = `/platform/organizations/${who._id.toHexString()}/moves`;
    const moved = await ask("POST", path, { token: operatorKey, body: { tier: "starter" } });
    expect(moved.status).toBe(202);
    await expectWhole(who);
    expect((await findById(running.deps.db, who._id))!.placement!.tier).toBe("starter");
    expect(at).toBe("");
  });

  test("its password is changed has none of its old tokens when it is let in again, that of the change neither", async () => {
    const who = await join();
    act = async (id) => {
      await suspendOrganization(running.deps, id, null);
      await reactivateOrganization(running.deps, id);
    };
    at = "update/admin";
    const changed = await ask("PUT", "/org/update", { token: who.token, body: { password: "Another-Horse-8" } });
    expect({ at, status: changed.status }).toEqual({ at: "", status: 200 });
    expect((await ask("GET", "/admin/me", { token: who.token })).status).toBe(401);
    await signIn({ ...who, password: "Another-Horse-8" });
  });

  test("it is being removed is removed when that has begun, and stays when it hasn't", async () => {
    const stays = await join();
    at = "remove/hide";
    expect((await ask("DELETE", "/org/delete", { token: stays.token })).status).toBe(404);
    expect((await getById(running.deps.db, stays._id)).status).toBe("suspended");
    const goes = await join();
    act = (id) =>
      suspendOrganization(running.deps, id, null).catch(({ failure }) =>
        expect(failure).toBe("organization_not_found"),
      );
    at = "remove/storage";
    expect((await ask("DELETE", "/org/delete", { token: goes.token })).status).toBe(204);
    expect(await findById(running.deps.db, goes._id)).toBeNull();
  });
});

test("a suspended organization can be moved", async () => {
  const who = await join();
  await fill(who.token);
  await suspendOrganization(running.deps, who._id, "meanwhile");
  const path = `/platform/organizations/${who._id.toHexString()}/moves`;
  expect((await ask("POST", path, { token: operatorKey, body: { tier: "enterprise" } })).status).toBe(202);
  await expectWhole(who);
  expect((await getById(running.deps.db, who._id)).placement!.tier).toBe("enterprise");
});

test("and no defect was logged, and the doctor finds nothing left over", async () => {
  expect(defects).toEqual([]);
  const reports: Report[] = [];
  await doctor(running.deps, { repair: false }, (one) => reports.push(one));
  expect(reports).toEqual([]);
});
