import { beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { BSON, type Db, type Document, ObjectId } from "mongodb";
import { enqueue } from "../../src/operation/drive.ts";
import { findById, findOpen } from "../../src/operation/store.ts";
import type { StepObserver } from "../../src/operation/operation.ts";
import { cancelOperation, resumeOperation } from "../../src/organization/move.ts";
import { removeOrganization } from "../../src/organization/remove.ts";
import { getById, organizations } from "../../src/organization/store.ts";
import type { Actor } from "../../src/session/session.ts";
import { writeNotes } from "../../src/tenant/copy/journal.ts";
import type { Placement, Tier } from "../../src/tenant/placement.ts";
import { collectionOf, driveToRest, type Lodger, stored, useFleet } from "../support/fleet.ts";
import { expectProblem } from "../support/problem.ts";
import { joinAs, useTiers } from "../support/tenants.ts";

// The machine may be busy with other things.
setDefaultTimeout(60_000);

/** What somebody who runs the database, and isn't Croupier, allows in a collection. */
const refuse = async (db: Db, { database, collection }: Pick<Placement, "database" | "collection">, what: Document) =>
  await db.client.db(database).command({ collMod: collection, validator: what, validationLevel: "strict" });
const withoutForbidden = { forbidden: { $exists: false } };
const forbidden = { forbidden: "planted-content" };

const mebibytes16 = 16 * 1024 * 1024;
/** As large as a document can be that the driver sends: whatever is added to it, it doesn't fit any more. */
const largest = (_id: unknown): Document => {
  const without = BSON.calculateObjectSize({ _id, text: "" });
  return { _id, text: "x".repeat(mebibytes16 - 1 - without) };
};

const services = useTiers({ MAX_BODY_BYTES: String(mebibytes16 + 1_024) });

describe.each(["starter", "professional", "enterprise"] as const)(
  "a document that somebody else's validator refuses, in the tier %s,",
  (tier) => {
    test("is refused to who sends it, with nothing of it in the answer; the others of an array are stored", async () => {
      const { db } = services[tier];
      const me = await joinAs(services[tier]);
      const { placement } = (await organizations(db).findOne({ _id: new ObjectId(me.id) }))!;
      expect((await me.ask("POST", "/documents", { _id: 1, a: 1 })).status).toBe(201);
      await refuse(db, placement!, withoutForbidden);
      const refused = { status: 409, type: "document_refused" };
      const again = { "idempotency-key": "again" };
      const [one, many] = ["/org/documents/1", "/org/documents"];
      const asked = [
        [one, await me.ask("PUT", "/documents/1", forbidden)],
        [one, await me.ask("PATCH", "/documents/1", forbidden)],
        [many, await me.ask("POST", "/documents", forbidden)],
        [many, await me.ask("POST", "/documents", { _id: 3, ...forbidden }, again)],
        [many, await me.ask("POST", "/documents", { _id: 3, ...forbidden }, again)],
        [
          many,
          await me.ask("POST", "/documents", [
            { _id: 4, ...forbidden },
            { _id: 2, a: 2 },
          ]),
        ],
      ] as const;
      for (const [path, answer] of asked) {
        expectProblem(answer, { ...refused, path });
        expect(answer.text).not.toContain("planted-content");
      }
      expect(asked.at(-1)![1].body).toMatchObject({ errors: [{ pointer: "#/0" }], inserted_ids: [2] });
      const { body } = await me.ask("GET", "/documents?sort=_id");
      expect(body.documents).toEqual([
        { _id: 1, a: 1 },
        { _id: 2, a: 2 },
      ]);
      expect((await me.ask("DELETE", "/delete")).status).toBe(204);
    });
  },
);

test("a document that has no room for its tenant's mark is refused when it is changed, and can be read and made smaller", async () => {
  const service = services.professional;
  const me = await joinAs(service);
  const _id = new ObjectId(me.id);
  const { placement } = (await organizations(service.db).findOne({ _id }))!;
  await collectionOf(service.db, placement!).insertOne(largest("large"));
  await organizations(service.db).updateOne({ _id }, { $set: { "placement.unstamped": true } });
  const large = { status: 413, type: "document_too_large", path: "/org/documents/large" };
  expectProblem(await me.ask("PATCH", "/documents/large", { more: 1 }), large);
  expectProblem(await me.ask("PUT", "/documents/large", { text: largest("large").text }), large);
  expect((await me.ask("GET", "/documents/large")).status).toBe(200);
  expect((await me.ask("PATCH", "/documents/large", { text: "less" })).body).toEqual({ _id: "large", text: "less" });
  expect((await me.ask("DELETE", "/delete")).status).toBe(204);
});

describe("a move of a document that is refused where it is taken to", () => {
  const fleet = useFleet();
  beforeAll(async () => {
    const { databaseName: database } = fleet.db;
    await refuse(fleet.db, { database, collection: "tenant_documents" }, withoutForbidden);
  }, 60_000);

  type Case = {
    from: Tier;
    to: Tier;
    /** Before the move. */
    before?(lodger: Lodger): Promise<unknown>;
    during?(lodger: Lodger): StepObserver;
  };
  const put = ({ placement }: Lodger, documents: Document[]) =>
    collectionOf(fleet.db, placement).insertMany(documents as never[]);
  const putLargest = async (lodger: Lodger) => {
    await put(lodger, [largest("large")]);
    await organizations(fleet.db).updateOne({ _id: lodger._id }, { $set: { "placement.unstamped": true } });
  };
  const cases: Record<string, Case> = {
    "by a validator": {
      from: "professional",
      to: "starter",
      before: (lodger) => put(lodger, stored(lodger.placement, ["refused"], forbidden)),
    },
    "by a validator, of a kind that only the server copies": {
      from: "enterprise",
      to: "starter",
      async before(lodger) {
        await put(lodger, stored(lodger.placement, ["refused"], forbidden));
        // Names that are numbers come first when it is read here.
        await collectionOf(fleet.db, lodger.placement).updateOne({ _id: "refused" as never }, { $set: { "0": 1 } });
      },
    },
    "by a validator, when all others are there already": {
      from: "professional",
      to: "starter",
      during: (lodger) => async (operation, moment) => {
        if (operation.step !== "gate" || moment !== "before") return;
        const { placement } = lodger;
        await collectionOf(fleet.db, placement).updateOne({ _id: "a" as never }, { $set: forbidden });
        await writeNotes(fleet.db, operation._id, ["a"]);
      },
    },
    "as its tenant's mark doesn't fit, in the shared collection": {
      from: "professional",
      to: "starter",
      before: putLargest,
    },
    "as its tenant's mark doesn't fit, in a database": { from: "professional", to: "enterprise", before: putLargest },
  };

  async function stop({ from, to, before, during }: Case) {
    const lodger = await fleet.settle(from);
    await before?.(lodger);
    const deps = { ...fleet.deps, ...(during && { onStep: during(lodger) }) };
    const _id = new ObjectId();
    await enqueue(deps, { _id, organization_id: lodger._id, kind: "move", input: { tier: to } });
    await driveToRest({ db: fleet.db, deps }, _id);
    return { lodger, _id };
  }

  test.each(Object.keys(cases))(
    "%s, stops at once and says so; the doctor sees it; it can be cancelled",
    async (name) => {
      const { lodger, _id } = await stop(cases[name]!);
      const stopped = (await findById(fleet.db, _id))!;
      expect(stopped).toMatchObject({ status: "stopped", attempts: 1 });
      expect(stopped.error!.message).toMatch(
        /the _id "(refused|a|large)" can't be copied as it is: .*(rejects|larger)/,
      );
      expect(JSON.stringify(stopped.error)).not.toContain("planted-content");
      const findings = (await fleet.examine()).filter((one) => one.finding === "operation_stopped");
      expect(findings).toMatchObject([{ operation_id: _id.toHexString(), step: stopped.step }]);
      // Readers and writers are not kept waiting.
      expect((await getById(fleet.db, lodger._id)).move?.phase).toBe("journal");
      await cancelOperation(fleet.deps, _id);
      expect((await driveToRest(fleet, _id)).status).toBe("cancelled");
      expect((await getById(fleet.db, lodger._id)).placement).toMatchObject({
        collection: lodger.placement.collection,
      });
      await removeOrganization(fleet.deps, { organizationId: lodger._id } as Actor);
    },
  );

  test.each(["by a validator", "as its tenant's mark doesn't fit, in the shared collection"])(
    "%s, keeps nobody from deleting the organization",
    async (name) => {
      const { lodger } = await stop(cases[name]!);
      await removeOrganization(fleet.deps, { organizationId: lodger._id } as Actor);
      expect(await findOpen(fleet.db, lodger._id)).toBeNull();
      expect(await collectionOf(fleet.db, lodger.placement).countDocuments()).toBe(0);
      expect(await fleet.db.collection("tenant_documents").countDocuments({ tenant_id: { $regex: lodger.id } })).toBe(
        0,
      );
    },
  );

  test("goes on once it is resumed when what refused it is mended", async () => {
    const { lodger, _id } = await stop(cases["by a validator"]!);
    await collectionOf(fleet.db, lodger.placement).updateOne({ _id: "refused" as never }, { $unset: { forbidden: 1 } });
    await resumeOperation(fleet.deps, _id);
    expect((await driveToRest(fleet, _id)).status).toBe("succeeded");
    const { placement } = await getById(fleet.db, lodger._id);
    expect(await collectionOf(fleet.db, placement!).countDocuments({ tenant_id: placement!.key })).toBe(3);
  });
});
