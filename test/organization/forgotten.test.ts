import { beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { BSON, type Document, ObjectId } from "mongodb";
import { until } from "../support/crash.ts";
import { useOperatorKey } from "../support/operator.ts";
import { accepted, newcomer, useService } from "../support/service.ts";
import { type Client, joinAs, moveTo } from "../support/tenants.ts";

setDefaultTimeout(60_000);
const service = useService();
const operatorKey = useOperatorKey(service);
const collection = (name: string) => service.db.collection<Document>(name);

/** Which collections of the service hold any of these words. The audit is kept on purpose, for as long as is set. */
async function holding(words: readonly string[]): Promise<string[]> {
  const found: string[] = [];
  for (const { name } of await service.db.listCollections({}, { nameOnly: true }).toArray()) {
    const all = (await collection(name).find().toArray()).map((each) => BSON.EJSON.stringify(each));
    const texts = name.startsWith("audit_") ? [name] : [name, ...all];
    for (const word of words) if (texts.some((text) => text.includes(word))) found.push(`${name}: ${word}`);
  }
  return found;
}

const operationsOf = (id: string) =>
  collection("operations")
    .find({ organization_id: new ObjectId(id) })
    .toArray();

/** As if the half minute were over in which something may still be on its way. */
async function sweepNow(id: string): Promise<void> {
  const places = { organization_id: new ObjectId(id), due_at: { $exists: true } };
  await collection("retired_places").updateMany(places, { $set: { due_at: new Date(0) } });
  await until("places that were left are swept", async () => {
    const [retired, open] = await Promise.all([
      collection("retired_places").countDocuments(places),
      collection("operations").countDocuments({ organization_id: places.organization_id, open: true }),
    ]);
    return retired + open === 0;
  });
}

/** An organization that has done all that leaves a record, the words that nobody else has, and what it is called now. */
async function used(): Promise<{ me: Client; words: string[]; document: string }> {
  const first = await service.join("forgotten");
  const [second, third] = [newcomer("renamed"), newcomer("other")];
  const document = `passport-of-${first.organization_name}`;
  const me: Client = {
    ...first,
    ask: (method, path, body, headers = {}) =>
      service.send(method, `/org${path}`, { token: first.token, headers, ...(body !== undefined && { body }) }),
  };
  await accepted(service.send("POST", "/org/create", { body: third }));
  const taken = await me.ask("PUT", "/update", {
    organization_name: third.organization_name,
    email: "me@lost.example",
  });
  expect(taken.status).toBe(400);
  const { organization_name, email } = second;
  await accepted(me.ask("PUT", "/update", { organization_name, email }));
  await accepted(me.ask("POST", "/indexes", { key: { [document]: 1 } }));
  await accepted(me.ask("POST", "/documents", [{ _id: document }], { "Idempotency-Key": "once" }));
  await moveTo(service, me.id, "starter");
  await moveTo(service, me.id, "professional");
  await sweepNow(me.id);
  const words = [first.organization_name, first.email, organization_name, email, "me@lost.example", document];
  return { me, words, document };
}

let one: Awaited<ReturnType<typeof used>>;
beforeAll(async () => {
  one = await used();
});

describe("what is personal goes with the operation", () => {
  test("an operation that has ended holds no email and nothing of who asked", async () => {
    const ended = await operationsOf(one.me.id);
    expect(new Set(ended.map(({ kind }) => kind))).toEqual(new Set(["provision", "update", "index", "move", "sweep"]));
    for (const operation of ended) {
      expect(operation.open).toBeUndefined();
      expect(operation.progress).not.toContainAnyKeys(["suspects", "upTo"]);
      expect(BSON.EJSON.stringify(operation)).not.toMatch(/@|origin|secret/);
    }
  });

  test("and operators are shown what they were shown before", async () => {
    const show = (id: ObjectId) =>
      accepted(service.send("GET", `/platform/operations/${id.toHexString()}`, { token: operatorKey() }));
    const ended = await operationsOf(one.me.id);
    const shown = await Promise.all(ended.map(({ _id }) => show(_id)));
    expect(shown.filter(({ kind }) => kind === "provision")).toMatchObject([
      { status: "succeeded", to: "professional" },
    ]);
    expect(shown.filter(({ kind }) => kind === "move").map(({ from, to }) => [from, to])).toEqual(
      expect.arrayContaining([
        ["professional", "starter"],
        ["starter", "professional"],
      ]),
    );
    expect(JSON.stringify(shown)).not.toContain("@");
  });
});

test("an update that the version before has begun is ended, and its input then holds neither name nor email", async () => {
  const { id } = await joinAs(service, "begun");
  const organization_id = new ObjectId(id);
  const admin = await collection("admin_users").findOne({ organization_id: id });
  const { organization_name, email } = newcomer("before");
  const past = new Date(0);
  await collection("operations").insertOne({
    organization_id,
    kind: "update",
    step: "email",
    status: "running",
    open: true,
    input: { admin_id: admin!._id, updated_at: new Date(), organization_name, email },
    secret: {},
    progress: {},
    lease: { owner: "gone", token: "gone", until: past, fence: 1 },
    error: null,
    history: [],
    created_at: past,
  });
  const ended = () => collection("operations").findOne({ organization_id, kind: "update", status: "succeeded" });
  await until("it has ended", async () => (await ended()) !== null);
  expect(await collection("organizations").findOne({ _id: organization_id })).toMatchObject({
    organization_name,
    email,
  });
  expect(await collection("admin_users").findOne({ _id: admin!._id })).toMatchObject({ organization_name, email });
  expect(Object.keys((await ended())!.input).sort()).toEqual(["admin_id", "updated_at"]);
});

describe("a deleted organization", () => {
  test("a deleted organization leaves its names, emails and documents' ids nowhere but in the audit", async () => {
    const { me, words, document } = one;
    const organization_id = new ObjectId(me.id);
    // What the version before this kept, and what a process leaves that dies.
    await collection("operations").updateMany(
      { organization_id, kind: "provision" },
      { $set: { "input.organization_name": words[0], "input.email": words[1] } },
    );
    await collection("operations").updateMany(
      { organization_id, kind: "move" },
      { $set: { "progress.suspects": [document], origin: { address: "203.0.113.7" } } },
    );
    const move = await collection("operations").findOne({ organization_id, kind: "move" });
    await collection("move_notes").insertOne({ operation_id: move!._id, id: document });
    await collection("idempotency_keys").updateMany({ organization_id }, { $set: { removed: [document] } });
    // More than are worked off at once.
    const many = Array.from({ length: 1_200 }, () => ({ organization_id, created_at: new Date() }));
    await collection("idempotency_keys").insertMany(
      many.map((one) => ({ ...one, _id: new ObjectId(), ids: [document] })),
    );
    const start = Date.now() - 2_000;
    await collection("operations").insertMany(
      many.map((one, index) => ({
        ...one,
        kind: "index",
        status: "succeeded",
        input: { change: document },
        progress: {},
        created_at: new Date(start + index),
      })),
    );
    expect((await me.ask("DELETE", "/delete")).status).toBe(204);
    await sweepNow(me.id);
    expect(await holding([...words, "203.0.113.7"])).toEqual([]);
    // It is on record that it is gone, which shows whose leftovers may be removed.
    expect(await collection("operations").findOne({ organization_id, kind: "remove" })).toMatchObject({
      status: "succeeded",
      progress: {},
    });
    for (const name of ["idempotency_keys", "sessions", "admin_users"]) {
      expect(await collection(name).countDocuments({ organization_id: { $in: [organization_id, me.id] } })).toBe(0);
    }
  });

  test("keeps nothing of what was noted, begun or remembered too late", async () => {
    const me = await joinAs(service, "late");
    const organization_id = new ObjectId(me.id);
    const { placement } = (await collection("organizations").findOne({ _id: organization_id }))!;
    expect((await me.ask("DELETE", "/delete")).status).toBe(204);
    const [moved, created_at] = [new ObjectId(), new Date()];
    await collection("sessions").insertOne({ organization_id, family_hash: me.id, user_agent: "late-agent" });
    await collection("idempotency_keys").insertOne({ organization_id, created_at, removed: ["late-document"] });
    await collection("move_notes").insertOne({ operation_id: moved, id: "late-document" });
    await collection("retired_places").insertOne({ _id: moved, organization_id, placement, due_at: new Date(0) });
    await sweepNow(me.id);
    expect(await holding(["late-agent", "late-document"])).toEqual([]);
  });
});
