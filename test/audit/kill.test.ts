import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { fileURLToPath } from "node:url";
import { ObjectId } from "mongodb";
import * as adminStore from "../../src/admin/store.ts";
import { type AuditDeps, audited, finishPending } from "../../src/audit/audited.ts";
import { auditEntries, auditPending } from "../../src/audit/store.ts";
import { verify } from "../../src/audit/verify.ts";
import { failure } from "../../src/lib/failure.ts";
import { moveOrganization } from "../../src/organization/move.ts";
import { driveAbandoned } from "../../src/operation/drive.ts";
import { run } from "../../src/operation/run.ts";
import { createOrganization } from "../../src/organization/create.ts";
import { letLeasesRunOut } from "../support/chain.ts";
import { type Child, startChild } from "../support/crash.ts";
import { useFleet } from "../support/fleet.ts";
import { makeOperatorKey } from "../support/operator.ts";
import { goodPassword, newcomer, send } from "../support/service.ts";

setDefaultTimeout(60_000);
// Nobody but the test takes over what a process leaves.
const fleet = useFleet();

const program = fileURLToPath(new URL("../support/audit-child.ts", import.meta.url));
const start = (killAt: string): Promise<Child> =>
  startChild({
    databaseName: fleet.db.databaseName,
    leaseMs: 60_000,
    program,
    config: { AUDIT_KILL_AT: killAt },
  });
const told = async (id: string) => {
  const entries = await auditEntries(fleet.db).find({ chain: id }).sort({ _id: 1 }).toArray();
  return entries.map(({ act, outcome }) => `${act} ${outcome}`);
};
const pending = () => auditPending(fleet.db).countDocuments();
/** What a worker does after a while. */
const goOn = async () => {
  await letLeasesRunOut(fleet.db);
  await driveAbandoned(fleet.deps, 20_000);
  await finishPending(fleet.deps, 0);
  await fleet.deps.audit.flush();
  // Or the next process, if it takes its time, goes on with it and is killed by that.
  await fleet.db.collection("sessions").deleteMany({ ended_at: { $exists: true } });
};
const settled = async (id: string) => {
  await goOn();
  const before = await told(id);
  await goOn();
  expect(await told(id)).toEqual(before);
  expect(await pending()).toBe(0);
  expect(await verify(fleet, id, () => {})).toBe(true);
  return before;
};
/** A process that is killed at this moment of a request; `ask` is sent to it, after `first`. */
async function die<T>(
  killAt: string,
  first: (url: string) => Promise<T>,
  ask: (url: string, made: T) => Promise<unknown>,
): Promise<T> {
  const child = await start(killAt);
  try {
    const made = await first(child.url);
    expect(await ask(child.url, made).catch(() => "no answer")).toBe("no answer");
    expect(await child.died).toBe("SIGKILL");
    return made;
  } finally {
    await child.end();
  }
}

const create = async (url: string) => {
  const who = newcomer();
  const { body } = await send(url, "POST", "/org/create", { body: who });
  return { ...who, id: body.id as string };
};
const signIn = (url: string, { email }: { email: string }) =>
  send(url, "POST", "/admin/login", { body: { email, password: goodPassword } });
const join = async (url: string) => {
  const who = await create(url);
  return { ...who, token: (await signIn(url, who)).body.access_token as string };
};

describe("a process that is killed", () => {
  const begun = ["organization.create success", "session.sign_in success"];

  test.each([
    ["before the act", "unknown", 0],
    ["after the act", "unknown", 1],
    ["before session.sign_out", "unknown", 1],
    // It was recorded: the note of it is what is left.
    ["after session.sign_out", "success", 1],
  ] as const)("in a sign-out, %s, leaves one entry: %s", async (killAt, outcome, done) => {
    const who = await die(killAt, join, (url, { token }) => send(url, "POST", "/admin/logout", { token }));
    expect(await pending()).toBe(1);
    expect(await settled(who.id)).toEqual([...begun, `session.sign_out ${outcome}`]);
    expect(await fleet.db.collection("revocations").countDocuments({ organization_id: who.id })).toBe(done);
  });

  test.each(["before", "after"])("in a sign-in, %s it was recorded, has handed out no token", async (moment) => {
    const who = await die(`${moment} session.sign_in`, create, signIn);
    const expected = ["organization.create success", ...(moment === "after" ? ["session.sign_in success"] : [])];
    expect(await settled(who.id)).toEqual(expected);
  });

  test.each(["before", "after"])("at the end of a delete, %s it was recorded, leaves one entry", async (moment) => {
    const who = await die(`${moment} remove is recorded`, join, (url, { token }) =>
      send(url, "DELETE", "/org/delete", { token }),
    );
    expect(await fleet.db.collection("operations").countDocuments({ open: true })).toBe(1);
    expect(await settled(who.id)).toEqual([...begun, "organization.delete success"]);
    expect(await fleet.db.collection("operations").countDocuments({ open: true })).toBe(0);
    const [entry] = await auditEntries(fleet.db).find({ chain: who.id, act: "organization.delete" }).toArray();
    expect(entry).toMatchObject({ who: { kind: "admin" }, address: "127.0.0.1" });
  });

  test.each(["before", "after"])(
    "at the end of an update, %s it was recorded, leaves one entry each",
    async (moment) => {
      const who = await die(`${moment} update is recorded`, join, (url, { token }) =>
        send(url, "PUT", "/org/update", { token, body: { email: newcomer().email, password: "Another-Horse-8" } }),
      );
      expect(await settled(who.id)).toEqual([...begun, "admin.email success", "admin.password success"]);
    },
  );

  test.each([
    ["before", "unknown"],
    ["after", "success"],
  ])(
    "at the start of a move, %s it was recorded, leaves one entry before the move ends: %s",
    async (moment, outcome) => {
      const key = await makeOperatorKey(fleet.db);
      const who = await die(`${moment} move.start`, join, (url, { id }) =>
        send(url, "POST", `/platform/organizations/${id}/moves`, { token: key, body: { tier: "starter" } }),
      );
      await finishPending(fleet.deps, 0);
      expect(await told(who.id)).toEqual([...begun, `move.start ${outcome}`]);
      expect(await settled(who.id)).toEqual([...begun, `move.start ${outcome}`, "move.end success"]);
    },
  );

  // While nobody goes on with the update, the email that it wanted becomes free.
  test.each([
    ["after update/email", "success", "Another-Horse-8"],
    ["before update is recorded", "failure", goodPassword],
    ["after update is recorded", "failure", goodPassword],
  ] as const)(
    "%s, at an end that would be another one by now, leaves entries of what happened",
    async (killAt, outcome, password) => {
      const owner = newcomer();
      const organization_id = new ObjectId((await createOrganization(fleet.deps, owner)).id);
      const who = await die(killAt, join, (url, { token }) =>
        send(url, "PUT", "/org/update", { token, body: { email: owner.email, password: "Another-Horse-8" } }),
      );
      await run(fleet.deps, { _id: new ObjectId(), organization_id, kind: "remove", input: {} }, 20_000);
      expect(await settled(who.id)).toEqual([...begun, `admin.email ${outcome}`, `admin.password ${outcome}`]);
      const admin = await adminStore.findByEmail(fleet.db, outcome === "success" ? owner.email : who.email);
      expect(admin!.organization_id).toBe(who.id);
      expect(await fleet.deps.passwords.matches(password, admin!.password)).toBe(true);
    },
  );

  test.each(["before", "after"])("at the end of a create, %s it was recorded, leaves one entry", async (moment) => {
    const who = newcomer();
    const body = who;
    await die(
      `${moment} provision is recorded`,
      async () => who,
      (url) => send(url, "POST", "/org/create", { body }),
    );
    const organization = await fleet.db.collection("organizations").findOne({ email: who.email });
    expect(await settled(organization!._id.toHexString())).toEqual(["organization.create success"]);
  });
});

describe("an act that is recorded", () => {
  const deps = (): AuditDeps => fleet.deps;
  const wanted = (organizationId: ObjectId) => ({ act: "organization.suspend", organizationId }) as const;

  test("isn't done when it can't be noted before", async () => {
    const id = new ObjectId();
    const away = {
      ...deps(),
      db: new Proxy(fleet.db, {
        get: () => () => {
          throw new Error("away");
        },
      }),
    };
    let done = false;
    expect(audited(away, wanted(id), async () => (done = true))).rejects.toThrow("away");
    expect(done).toBe(false);
    expect(await told(id.toHexString())).toEqual([]);
  });

  test("and is refused is a failure with its code; one that may have happened is unknown", async () => {
    const id = new ObjectId();
    const attempt = (error: Error) => audited(deps(), wanted(id), () => Promise.reject(error)).catch(() => {});
    await attempt(failure("organization_not_found", "There is none."));
    await attempt(failure("operation_pending", "Later.", { retryAfterSeconds: 1 }));
    await attempt(new Error("the connection is gone"));
    const entries = await auditEntries(fleet.db).find({ chain: id.toHexString() }).sort({ _id: 1 }).toArray();
    expect(entries.map(({ outcome, details }) => [outcome, details])).toEqual([
      ["failure", { code: "organization_not_found" }],
      ["unknown", { code: "operation_pending" }],
      ["unknown", {}],
    ]);
    expect(await pending()).toBe(0);
  });

  test("is a failure too when it is the start of a move that another one is in the way of", async () => {
    const { _id, id } = await fleet.settle("professional");
    await moveOrganization(fleet.deps, _id, "starter");
    await expect(moveOrganization(fleet.deps, _id, "starter")).rejects.toMatchObject({ failure: "operation_open" });
    const begun = ["organization.create success", "move.start success", "move.start failure"];
    expect(await settled(id)).toEqual([...begun, "move.end success"]);
  });

  test("is done, and recorded later as unknown, when it can't be recorded after", async () => {
    const id = new ObjectId();
    const audit = { ...fleet.deps.audit, append: () => Promise.reject(new Error("away")) };
    expect(await audited({ ...deps(), audit }, wanted(id), async () => "done")).toBe("done");
    expect(await told(id.toHexString())).toEqual([]);
    expect(await finishPending(fleet.deps, 60_000)).toBe(0);
    expect(await pending()).toBe(1);
    expect(await settled(id.toHexString())).toEqual(["organization.suspend unknown"]);
  });

  test("late, when others took it for lost, is there once", async () => {
    const id = new ObjectId();
    await audited(deps(), wanted(id), async () => {
      expect(await finishPending(fleet.deps, -1_000)).toBe(1);
    });
    expect(await settled(id.toHexString())).toEqual(["organization.suspend unknown"]);
  });
});
