import { describe, expect, test } from "bun:test";
import { makeOperatorKey } from "../support/operator.ts";
import { newcomer, useService } from "../support/service.ts";
import { joinAs } from "../support/tenants.ts";

const service = useService();

describe("an organization", () => {
  test("is made with a collection of its own, is found in any case, and its admin signs in", async () => {
    const who = newcomer("Acme");
    const made = await service.send("POST", "/org/create", { body: who });
    expect(made.status).toBe(201);
    const name = who.organization_name.toLowerCase();
    expect(made.body).toEqual({
      id: expect.stringMatching(/^[0-9a-f]{24}$/),
      organization_name: name,
      email: who.email,
      connection_details: `Collection: org_${name}`,
      created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      updated_at: null,
      tier: "professional",
      region: "default",
      status: "active",
    });
    const found = await service.send("GET", `/org/get?organization_name=${name.toUpperCase()}`);
    expect(found.status).toBe(200);
    expect(found.body).toEqual(made.body);
    const signedIn = await service.send("POST", "/admin/login", {
      body: { email: who.email.toUpperCase(), password: who.password },
    });
    expect(signedIn.status).toBe(200);
    expect(signedIn.body).toEqual({
      access_token: expect.any(String),
      token_type: "bearer",
      expires_in: 3600,
      refresh_token: expect.any(String),
      refresh_expires_in: 30 * 86_400,
      admin_id: expect.stringMatching(/^[0-9a-f]{24}$/),
      organization_id: made.body.id,
      organization_name: name,
    });
    expect(signedIn.headers.get("cache-control")).toBe("no-store");
  });

  test("leaves no record of how much it has where there are no quotas", async () => {
    const me = await joinAs(service);
    expect((await me.ask("POST", "/documents", [{ _id: 1 }, { _id: 2 }])).status).toBe(201);
    expect((await me.ask("DELETE", "/documents/1")).status).toBe(204);
    const none = { used: null, limit: null };
    expect((await me.ask("GET", "/usage")).body).toEqual({ documents: none, bytes: none, counted_at: null });
    const token = await makeOperatorKey(service.db);
    const shown = await service.send("GET", `/platform/organizations/${me.id}`, { token });
    expect(shown.body).not.toHaveProperty("usage");
    const names = (await service.db.listCollections({}, { nameOnly: true }).toArray()).map(({ name }) => name);
    expect(names).not.toContainAnyValues(["usage", "admissions"]);
  });
});
