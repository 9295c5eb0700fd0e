import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import type { Report } from "../../src/fleet/doctor.ts";
import { flows } from "../../src/flows/index.ts";
import { findOpen, operations } from "../../src/operation/store.ts";
import { viewOperation } from "../../src/operation/view.ts";
import { cancelOperation, resumeOperation } from "../../src/organization/move.ts";
import { removeOrganization } from "../../src/organization/remove.ts";
import { getById } from "../../src/organization/store.ts";
import type { Actor } from "../../src/session/session.ts";
import { tiers } from "../../src/tenant/placement.ts";
import { collectionOf, type Fleet, type Lodger, openFleet } from "../support/fleet.ts";
import { driveOn, leftOf, meet, reload, type Stuck, ways, whatIsLeft } from "../support/stuck.ts";

setDefaultTimeout(60_000);

/** Fewer than the service has, as each takes its time. */
const tries = 3;

let fleet: Fleet;
let neighbours: Lodger[];
beforeAll(async () => {
  fleet = await openFleet();
  fleet.deps.patience = { attemptsMax: tries, pauseMs: () => 0 };
  neighbours = await Promise.all(tiers.map((tier) => fleet.settle(tier)));
}, 60_000);
afterAll(() => fleet.close(), 60_000);

const planted = () => async () => {
  throw new Error("planted");
};

describe("a step that always fails", () => {
  let [mended, removed]: Stuck[][] = [[], []];
  let reports: Report[] = [];
  beforeAll(async () => {
    const stickAll = (some: typeof ways) => Promise.all(some.map((way) => meet(fleet, way, planted)));
    mended = await stickAll(ways.filter(({ number }) => number === 0));
    removed = await stickAll(ways.filter(({ kind }) => !["provision", "discard", "remove"].includes(kind)));
    reports = await fleet.examine();
  }, 60_000);

  test("ends in an operation that has stopped after so many tries, which the doctor and operators see", async () => {
    for (const { name, kind, step, id } of [...mended!, ...removed!]) {
      const seen = viewOperation(flows, await reload(fleet, id), new Date());
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
    for (const { _id, placement } of neighbours) {
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
    const left = await whatIsLeft(fleet);
    for (const one of removed!) expect(leftOf(one, left), one.name).toEqual([]);
  });

  test("is passed by an operator: cancelled before the switch, resumed once it is mended after it", async () => {
    for (const { name, kind, step, lodger, deps, id } of mended!) {
      if (flows[kind]!.undo?.[step]) {
        await cancelOperation(deps, id);
        await driveOn(deps, lodger);
        expect((await reload(fleet, id)).status, name).toBe(kind === "provision" ? "failed" : "cancelled");
        continue;
      }
      await driveOn(deps, lodger);
      expect((await reload(fleet, id)).status, name).toBe("stopped");
      await resumeOperation(fleet.deps, id);
      while ((await findOpen(fleet.db, lodger._id))?.status === "running") await driveOn(fleet.deps, lodger);
      expect(["succeeded", "failed", "cancelled"], name).toContain((await reload(fleet, id)).status);
    }
    expect(await operations(fleet.db).countDocuments({ open: true })).toBe(0);
  });
});
