import { beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { operations } from "../../src/operation/store.ts";
import { findViolations } from "../support/invariants.ts";
import { create, leaveBehind, settle, signIn } from "../support/scenarios.ts";
import { newcomer, useService } from "../support/service.ts";

// The machine may be busy with other things.
setDefaultTimeout(60_000);

const service = useService();
let at: { url: string; db: typeof service.db };
beforeAll(() => {
  at = { url: service.url, db: service.db };
});

const pieces = [
  { organization: true },
  { admin: true },
  { organization: true, admin: true },
  { organization: true, admin: true, collection: true },
];

describe("what a stalled process leaves after its create was undone", () => {
  test.each(pieces)("burns neither name nor email: the same create succeeds over %j", async (piece) => {
    const who = newcomer("left");
    await leaveBehind(at.db, who, piece);
    const tenant = await settle(at, who);
    expect(tenant.belongings.organizationId).toBe(tenant.id);
    expect(await findViolations(at.db, [tenant.belongings])).toEqual([]);
  });

  test("burns neither when the name is left by one and the email by another", async () => {
    const who = newcomer("two");
    await leaveBehind(
      at.db,
      { ...newcomer(), organization_name: who.organization_name },
      { organization: true, admin: true },
    );
    await leaveBehind(at.db, { ...newcomer(), email: who.email }, { organization: true, admin: true });
    const tenant = await settle(at, who);
    expect(await findViolations(at.db, [tenant.belongings])).toEqual([]);
  });

  test("doesn't keep an organization from being renamed to that name, with that email", async () => {
    const who = newcomer("wanted");
    await leaveBehind(at.db, who, { organization: true, admin: true, collection: true });
    const tenant = await settle(at);
    const changed = await service.send("PUT", "/org/update", {
      token: tenant.token,
      body: { organization_name: who.organization_name, email: who.email },
    });
    expect(changed.status).toBe(200);
    expect(changed.body.connection_details).toBe(`Collection: org_${who.organization_name}~2`);
    expect(await findViolations(at.db, [tenant.belongings])).toEqual([]);
  });

  test("is seen by nobody: not found, no sign-in", async () => {
    const who = newcomer("hidden");
    await leaveBehind(at.db, who, { organization: true, admin: true });
    expect((await service.send("GET", `/org/get?organization_name=${who.organization_name}`)).status).toBe(404);
    expect((await signIn(at, who)).status).toBe(401);
    await settle(at, who);
  });

  test("of 10 who want its name at once, one gets it and the others are told that it exists", async () => {
    const who = newcomer("rush");
    await leaveBehind(at.db, who, { organization: true, admin: true, collection: true });
    const answers = await Promise.all(
      Array.from({ length: 10 }, () => create(at, { ...newcomer("rush"), organization_name: who.organization_name })),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([201, ...Array(9).fill(400)]);
    expect(await findViolations(at.db)).toEqual([]);
  });

  test("is removed without the documents that somebody put into a collection of its name", async () => {
    const who = newcomer("kept");
    await leaveBehind(at.db, who, { organization: true, admin: true, collection: true });
    const collection = `org_${who.organization_name}`;
    await at.db.collection<{ _id: string }>(collection).insertOne({ _id: "whose?" });
    const made = await create(at, who);
    expect(made.status).toBe(201);
    expect(made.body.connection_details).not.toBe(`Collection: ${collection}`);
    expect(await at.db.collection(collection).countDocuments()).toBe(1);
    await at.db.dropCollection(collection);
  });
});

describe("what can't be shown to be a leftover is left alone", () => {
  test("an admin of no organization, with no trace of a create: its email stays taken", async () => {
    const who = newcomer("legacy");
    const { adminId } = await leaveBehind(at.db, who, { admin: true, provision: "none" });
    const refused = await create(at, who);
    expect(refused.status).toBe(400);
    expect(refused.body.detail).toContain("already exists");
    expect(await at.db.collection("admin_users").countDocuments({ _id: adminId })).toBe(1);
    expect(await at.db.collection("organizations").countDocuments({ organization_name: who.organization_name })).toBe(
      0,
    );
    await at.db.collection("admin_users").deleteOne({ _id: adminId });
  });

  test("an organization that is provisioning, with no trace of a create: its name stays taken", async () => {
    const who = newcomer("unknown");
    const { organizationId } = await leaveBehind(at.db, who, { organization: true, provision: "none" });
    expect((await create(at, who)).status).toBe(400);
    expect(await at.db.collection("organizations").countDocuments({ _id: organizationId })).toBe(1);
    await at.db.collection("organizations").deleteOne({ _id: organizationId });
  });

  test("an organization that is being made right now", async () => {
    const who = newcomer("now");
    const { organizationId, adminId } = await leaveBehind(at.db, who, { organization: true, admin: true });
    await operations(at.db).updateOne(
      { organization_id: organizationId },
      {
        $set: {
          status: "running",
          open: true,
          step: "storage",
          "lease.fence": 1,
          "lease.until": new Date(Date.now() + 60_000),
        },
        $unset: { finished_at: "" },
      },
    );
    expect((await create(at, who)).status).toBe(400);
    expect(await at.db.collection("organizations").countDocuments({ _id: organizationId })).toBe(1);
    expect(await at.db.collection("admin_users").countDocuments({ _id: adminId })).toBe(1);
    // Its process has died after all: then it is undone, and the name is free.
    await operations(at.db).updateOne({ organization_id: organizationId }, { $set: { "lease.until": new Date(0) } });
    await settle(at, who);
  });

  test("an organization that works", async () => {
    const tenant = await settle(at);
    expect((await create(at, tenant)).status).toBe(400);
    expect((await create(at, { ...newcomer(), email: tenant.email.toUpperCase() })).status).toBe(400);
    expect((await signIn(at, tenant)).status).toBe(200);
  });
});
