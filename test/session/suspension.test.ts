import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { ObjectId } from "mongodb";
import { createApp } from "../../src/app.ts";
import { type RunningService, startService } from "../../src/serve.ts";
import { createLogger } from "../../src/log.ts";
import { removeOrganization } from "../../src/organization/remove.ts";
import { suspend } from "../../src/organization/all/for-operators.ts";
import { findById } from "../../src/organization/store.ts";
import type { Claims } from "../../src/session/token/token.ts";
import { until } from "../support/crash.ts";
import { useOperatorKey } from "../support/operator.ts";
import { expectProblem } from "../support/problem.ts";
import { send, useService } from "../support/service.ts";
import { isLetIn, refreshAt, signInTo } from "../support/session.ts";
import { readClaims } from "../support/token.ts";

// Placements that may be used long have no say in how long a suspended organization is let in.
const service = useService({ PLACEMENT_LEASE_MS: "3000" });
const operatorKey = useOperatorKey(service);
const operate = (id: string, verb: string, body?: object) =>
  service.send("POST", `/platform/organizations/${id}/${verb}`, { token: operatorKey(), ...(body && { body }) });
const suspendBy = async (id: string, body: object = {}) =>
  expect((await operate(id, "suspend", body)).status).toBe(200);
const reactivate = async (id: string) => expect((await operate(id, "reactivate")).status).toBe(200);
describe("a suspended organization", () => {
  test("is refused on every route that takes an access token, and can't be renewed", async () => {
    const one = await service.join("shut");
    const { access_token: token, refresh_token } = await signInTo(service, one);
    expect(await isLetIn(service, token)).toBeTrue();
    await suspendBy(one.id);
    const { paths } = (await service.send("GET", "/openapi.json")).body;
    const routes = createApp(service.running.deps).routes.filter(
      ({ method, path }) =>
        paths[path.replace(/:(\w+)/g, "{$1}")]?.[method.toLowerCase()]?.security?.[0]?.accessToken !== undefined,
    );
    expect(new Set(routes.map(({ method, path }) => `${method} ${path}`)).size).toBeGreaterThan(15);
    for (const { method, path } of routes) {
      const at = path.replace(/:\w+/g, "x");
      const answer = await service.send(method, at, { token });
      expectProblem(answer, { status: 401, type: "token_invalid", reason: "ended", path: at });
    }
    expect((await refreshAt(service, refresh_token)).status).toBe(401);
    expect((await service.send("GET", `/org/get?organization_name=${one.organization_name}`)).status).toBe(404);
  });

  test("is named to its admin only: with a wrong password sign-in answers as ever", async () => {
    const one = await service.join("named");
    await suspendBy(one.id);
    const signIn = (password: string) => service.send("POST", "/admin/login", { body: { email: one.email, password } });
    expectProblem(await signIn(one.password), { status: 403, type: "organization_suspended", path: "/admin/login" });
    expectProblem(await signIn("Wrong-Horse-7"), { status: 401, type: "credentials_incorrect", path: "/admin/login" });
  });

  test("keeps its first reason when it is suspended again, and its name and email", async () => {
    const one = await service.join("kept");
    await suspendBy(one.id, { reason: "not paid" });
    const { body } = await operate(one.id, "suspend", { reason: "another" });
    expect(body).toMatchObject({ id: one.id, status: "suspended", email: one.email });
    expect(body.suspension.reason).toBe("not paid");
    const { status, body: refused } = await service.send("POST", "/org/create", {
      body: { organization_name: one.organization_name, email: "other@example.com", password: one.password },
    });
    expect({ status, type: refused.type }).toEqual({
      status: 400,
      type: "urn:croupier:problem:organization_name_taken",
    });
  });

  test("has its documents when it is let in again, with none of its old tokens", async () => {
    const one = await service.join("back");
    const first = await signInTo(service, one);
    await service.send("POST", "/org/documents", { token: one.token, body: { _id: "a", n: 1 } });
    await suspendBy(one.id);
    await reactivate(one.id);
    await reactivate(one.id);
    expect(await isLetIn(service, one.token)).toBeFalse();
    expect(await isLetIn(service, first.access_token)).toBeFalse();
    expect((await refreshAt(service, first.refresh_token)).status).toBe(401);
    const { access_token: token, refresh_token } = await signInTo(service, one);
    expect((await service.send("GET", "/org/documents/a", { token })).body).toEqual({ _id: "a", n: 1 });
    expect((await refreshAt(service, refresh_token)).status).toBe(200);
    // To activate what is active ends nothing.
    await reactivate(one.id);
    expect(await isLetIn(service, token)).toBeTrue();
    expect((await findById(service.db, new ObjectId(one.id)))!.suspension).toBeUndefined();
  });

  test("has none of its old tokens either when the process that suspended it died right after the first write", async () => {
    const one = await service.join("died");
    await suspend(service.db, new ObjectId(one.id), { at: new Date(), reason: null });
    await reactivate(one.id);
    expect(await isLetIn(service, one.token)).toBeFalse();
  });

  test("isn't removed by a request of its admin that was under way", async () => {
    const one = await service.join("stays");
    const claims = readClaims(one.token) as Claims;
    await suspendBy(one.id);
    const actor = { adminId: new ObjectId(claims.admin_id), organizationId: new ObjectId(one.id), claims };
    expect(removeOrganization(service.running.deps, actor)).rejects.toMatchObject({
      failure: "organization_not_found",
    });
    await reactivate(one.id);
    await signInTo(service, one);
  });

  test("that isn't there can be neither suspended nor let in, and one that is being removed isn't touched", async () => {
    const one = await service.join("half");
    const _id = new ObjectId(one.id);
    await service.db.collection("organizations").updateOne({ _id }, { $set: { status: "deleting" } });
    for (const id of ["0123456789abcdef01234567", one.id]) {
      for (const verb of ["suspend", "reactivate", "revoke-tokens"]) {
        const path = `/platform/organizations/${id}/${verb}`;
        expectProblem(await operate(id, verb, verb === "suspend" ? {} : undefined), {
          status: 404,
          type: "organization_not_found",
          path,
        });
      }
    }
    expect((await findById(service.db, _id))!.status).toBe("deleting");
    await service.db.collection("organizations").updateOne({ _id }, { $set: { status: "active" } });
  });
});

test("revoking an organization's tokens ends them and its sessions, and the next sign-in holds", async () => {
  const one = await service.join("revoked");
  const before = await signInTo(service, one);
  expect((await operate(one.id, "revoke-tokens")).status).toBe(204);
  expect([await isLetIn(service, one.token), await isLetIn(service, before.access_token)]).toEqual([false, false]);
  expect((await refreshAt(service, before.refresh_token)).status).toBe(401);
  const after = await signInTo(service, one);
  expect(await isLetIn(service, after.access_token)).toBeTrue();
  const { body } = await service.send("GET", "/admin/sessions", { token: after.access_token });
  expect(body.sessions).toBeArrayOfSize(1);
});

describe("a process that has just let it in refuses it within a second of", () => {
  let other: RunningService;
  beforeAll(async () => {
    const { config } = service.running.deps;
    other = await startService({ ...config, port: 0 }, createLogger("silent"));
    await other.ready;
  }, 60_000);
  afterAll(() => other.stop());
  test.each(["suspend", "revoke-tokens"])("%s", async (verb) => {
    const one = await service.join("two");
    for (let n = 0; n < 3; n++) {
      const { access_token: token } = await signInTo(service, one);
      const status = async (path = "/org/documents") => (await send(other.url, "GET", path, { token })).status;
      expect(await status()).toBe(200);
      await Bun.sleep(Math.random() * 300);
      expect(await status()).toBe(200);
      const answer = await operate(one.id, verb, verb === "suspend" ? {} : undefined);
      expect(answer.status).toBeLessThan(300);
      const answeredMs = performance.now();
      expect(await isLetIn(service, token)).toBeFalse();
      await until("the refusal", async () => (await status()) === 401, 5_000);
      // On a machine that does other things too.
      expect(performance.now() - answeredMs).toBeLessThan(2_000);
      expect(await status("/admin/me")).toBe(401);
      await reactivate(one.id);
    }
  });
});
