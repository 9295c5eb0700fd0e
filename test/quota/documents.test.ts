import { beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { isDeepStrictEqual } from "node:util";
import { BSON, type Document, ObjectId } from "mongodb";
import { withTenant } from "../../src/tenant/door.ts";
import { until } from "../support/crash.ts";
import { largeBytes } from "../../src/tenant/stored.ts";
import { useOperatorKey } from "../support/operator.ts";
import { expectProblem } from "../support/problem.ts";
import { type Answer, type Service, useService } from "../support/service.ts";
import { type Client, joinAs, moveTo } from "../support/tenants.ts";

setDefaultTimeout(60_000);
const [documentsMax, bytesMax] = [5, 1_000];
const limited = ["starter", "enterprise"] as const;
const settings = Object.fromEntries(
  limited.flatMap((tier) => [
    [`QUOTA_${tier.toUpperCase()}_DOCUMENTS`, String(documentsMax)],
    [`QUOTA_${tier.toUpperCase()}_BYTES`, String(bytesMax)],
  ]),
);
const services = {
  starter: useService({ ...settings, DEFAULT_TIER: "starter" }),
  enterprise: useService({ ...settings, DEFAULT_TIER: "enterprise" }),
};
const documents = "/documents";

const sizeOf = (document: Document) => BSON.calculateObjectSize(document);
/** A document of so many bytes. */
const sized = (_id: string, bytes: number) => ({ _id, text: "x".repeat(bytes - sizeOf({ _id, text: "" })) });

function expectFull(answer: Answer, path: string, name: "documents" | "bytes", used: number): void {
  expectProblem(answer, { status: 422, type: "quota_exceeded", path });
  expect(answer.body.quota).toEqual({ name, limit: name === "documents" ? documentsMax : bytesMax, used });
}
const usedBy = async (me: Client) => {
  const { status, body } = await me.ask("GET", "/usage");
  expect(status).toBe(200);
  return { documents: body.documents.used, bytes: body.bytes.used };
};
/** What there really is. */
const measured = ({ running: { deps } }: Service, { id }: Client) =>
  withTenant(deps, new ObjectId(id), "read", (scope) => scope.measure(10_000));
const settled = async (service: Service, me: Client) => {
  const there = await measured(service, me);
  // What is set aside is just being given back, perhaps.
  await until("what is said to be used is what is there", async () => isDeepStrictEqual(await usedBy(me), there));
  return there;
};

describe.each(limited)("in the tier %s", (tier) => {
  const service = services[tier];
  const join = () => joinAs(service, "quota");

  test("documents are inserted one by one up to the quota, and not beyond it", async () => {
    const me = await join();
    for (let n = 0; n < documentsMax; n++) expect((await me.ask("POST", documents, { _id: n })).status).toBe(201);
    expectFull(await me.ask("POST", documents, { _id: "more" }), "/org/documents", "documents", documentsMax);
    expect((await settled(service, me)).documents).toBe(documentsMax);
  });

  test("documents take their bytes of the quota, to the last one", async () => {
    const me = await join();
    expect((await me.ask("POST", documents, sized("a", bytesMax - 100))).status).toBe(201);
    expectFull(await me.ask("POST", documents, sized("b", 101)), "/org/documents", "bytes", bytesMax - 100);
    expect((await me.ask("POST", documents, sized("b", 100))).status).toBe(201);
    expect(await settled(service, me)).toEqual({ documents: 2, bytes: bytesMax });
  });

  test.each(["PUT", "PATCH"])(
    "%s makes a document grow up to the quota, and shrink and change at any time",
    async (how) => {
      const me = await join();
      const put = async (bytes: number) => await me.ask(how, `${documents}/a`, { text: sized("a", bytes).text });
      await me.ask("POST", documents, [sized("a", 100), sized("b", 100)]);
      expectFull(await put(bytesMax - 99), "/org/documents/a", "bytes", 200);
      expect((await put(bytesMax - 100)).status).toBe(200);
      expect(await settled(service, me)).toEqual({ documents: 2, bytes: bytesMax });
      expect((await me.ask(how, `${documents}/b`, { text: sized("b", 100).text.replace(/^x/, "y") })).status).toBe(200);
      expectFull(await put(bytesMax), "/org/documents/a", "bytes", bytesMax);
      expect((await put(100)).status).toBe(200);
      expect((await put(bytesMax - 100)).status).toBe(200);
      expect(await settled(service, me)).toEqual({ documents: 2, bytes: bytesMax });
    },
  );
});

describe("in every tier", () => {
  const service = services.starter;
  const join = () => joinAs(service, "quota");

  test("an array that would cross the quota is refused as a whole, and one that just fits is taken", async () => {
    const me = await join();
    expect((await me.ask("POST", documents, [{ _id: 1 }, { _id: 2 }, { _id: 3 }])).status).toBe(201);
    expectFull(await me.ask("POST", documents, [{ _id: 4 }, { _id: 5 }, { _id: 6 }]), "/org/documents", "documents", 3);
    expect((await settled(service, me)).documents).toBe(3);
    expect((await me.ask("POST", documents, [{ _id: 4 }, { _id: 5 }])).status).toBe(201);
    expect((await settled(service, me)).documents).toBe(documentsMax);
  });

  test("who has used all may read and delete, and what was deleted is free at once", async () => {
    const me = await join();
    await me.ask("POST", documents, [{ _id: 1 }, { _id: 2 }, { _id: 3 }, { _id: 4 }, { _id: 5 }]);
    for (const path of ["", "/1", "?limit=2"]) expect((await me.ask("GET", documents + path)).status).toBe(200);
    expect((await me.ask("POST", `${documents}/count`, {})).body).toEqual({ count: documentsMax });
    expect((await me.ask("DELETE", `${documents}/1`)).status).toBe(204);
    expect((await me.ask("DELETE", `${documents}/1`)).status).toBe(404);
    expect((await me.ask("POST", documents, { _id: 6 })).status).toBe(201);
    expect((await me.ask("POST", documents, { _id: 7 })).status).toBe(422);
    expect((await settled(service, me)).documents).toBe(documentsMax);
  });

  test("what is refused for another reason takes no room", async () => {
    const me = await join();
    await me.ask("POST", documents, [{ _id: 1 }, { _id: 2 }]);
    expect((await me.ask("POST", documents, [{ _id: 1 }, { _id: 2 }, { _id: 3 }])).status).toBe(409);
    const stale = { "if-match": '"9-AAAAAAAAAAAA"' };
    expect((await me.ask("PUT", `${documents}/1`, { text: "x".repeat(300) }, stale)).status).toBe(412);
    expect((await me.ask("POST", documents, [{ _id: 4 }, { _id: 5 }])).status).toBe(201);
    expect((await settled(service, me)).documents).toBe(documentsMax);
  });

  test("an insert with an Idempotency-Key counts once, however often it is sent, and is answered when all is used", async () => {
    const me = await join();
    const key = (name: string) => ({ "idempotency-key": name });
    const two = [{ n: 1 }, { n: 2 }];
    const first = await me.ask("POST", documents, two, key("a"));
    for (let n = 0; n < 3; n++) expect((await me.ask("POST", documents, two, key("a"))).text).toBe(first.text);
    expect((await settled(service, me)).documents).toBe(2);
    expect((await me.ask("POST", documents, [{}, {}, {}], key("b"))).status).toBe(201);
    expect((await me.ask("POST", documents, two, key("a"))).text).toBe(first.text);
    // As if the first try had been cut off.
    await service.db.collection("idempotency_keys").updateMany({}, { $set: { done: false } });
    expect((await me.ask("POST", documents, two, key("a"))).text).toBe(first.text);
    expect((await me.ask("POST", documents, two, key("c"))).status).toBe(422);
    expect((await settled(service, me)).documents).toBe(documentsMax);
    await me.ask("DELETE", `${documents}/${first.body.inserted_ids[0].$oid}`);
    await me.ask("DELETE", `${documents}/${first.body.inserted_ids[1].$oid}`);
    expect((await me.ask("POST", documents, two, key("c"))).status).toBe(201);
  });

  test("many writers at once come to the quota exactly", async () => {
    const me = await join();
    const answers = await Promise.all(Array.from({ length: 20 }, (_, _id) => me.ask("POST", documents, { _id })));
    expect(answers.filter(({ status }) => status === 201).length).toBe(documentsMax);
    expect(answers.filter(({ status }) => status === 422).length).toBe(20 - documentsMax);
    expect((await settled(service, me)).documents).toBe(documentsMax);
  });

  test("it is forgotten with the organization how much it had", async () => {
    const me = await join();
    await me.ask("POST", documents, { _id: 1 });
    const record = { _id: new ObjectId(me.id) };
    expect(await service.db.collection("usage").countDocuments(record)).toBe(1);
    expect((await me.ask("DELETE", "/delete")).status).toBe(204);
    expect(await service.db.collection("usage").countDocuments(record)).toBe(0);
  });
});

describe("from tier to tier", () => {
  const service = services.starter;
  const operatorKey = useOperatorKey(service);
  const shown = async ({ id }: Client) =>
    (await service.send("GET", `/platform/organizations/${id}`, { token: operatorKey() })).body;
  let me: Client;
  beforeAll(async () => {
    me = await joinAs(service, "mover");
    await me.ask("POST", documents, [{ _id: 1 }, { _id: 2 }, { _id: 3 }]);
  });

  test("it has as much as before, may have what the tier lets it, and isn't taken where it has too much", async () => {
    await moveTo(service, me.id, "professional");
    const used = await settled(service, me);
    expect(used.documents).toBe(3);
    expect((await me.ask("POST", documents, [{ _id: 4 }, { _id: 5 }, { _id: 6 }])).status).toBe(201);
    const moves = `/platform/organizations/${me.id}/moves`;
    const refused = await service.send("POST", moves, { token: operatorKey(), body: { tier: "starter" } });
    expectProblem(refused, { status: 422, type: "quota_exceeded", path: moves });
    expect(refused.body.quota).toEqual({ name: "documents", limit: documentsMax, used: 6 });
    for (const id of [1, 2]) await me.ask("DELETE", `${documents}/${id}`);
    await moveTo(service, me.id, "starter");
    expect((await settled(service, me)).documents).toBe(4);
    expect((await me.ask("POST", documents, { _id: 7 })).status).toBe(201);
    expect((await me.ask("POST", documents, { _id: 8 })).status).toBe(422);
    await moveTo(service, me.id, "professional");
    expect((await me.ask("POST", documents, { _id: 8 })).status).toBe(201);
    expect((await settled(service, me)).documents).toBe(6);
  });

  test("what is written and deleted while it is moved counts once", async () => {
    for (const id of [3, 4, 5, 6, 7, 8]) await me.ask("DELETE", `${documents}/${id}`);
    await moveTo(service, me.id, "starter");
    let ended = false;
    const unknown: string[] = [];
    const writing = Array.from({ length: 4 }, async (_, writer) => {
      for (let n = 0; !ended; n++) {
        const id = `${writer}-${n % 5}`;
        const answers = [
          await me.ask("POST", documents, { _id: id, text: "x".repeat(n % 50) }),
          await me.ask("PATCH", `${documents}/${id}`, { more: "y".repeat(n % 70) }),
          ...(n % 3 ? [await me.ask("DELETE", `${documents}/${id}`)] : []),
        ];
        for (const { status, text } of answers) if (status >= 500) unknown.push(text);
      }
    });
    await moveTo(service, me.id, "professional").finally(() => (ended = true));
    await Promise.all(writing);
    expect(unknown).toEqual([]);
    await settled(service, me);
  });

  test("operators and the admin see what is used, and a new name takes it along", async () => {
    const used = await settled(service, me);
    const name = `renamed-${process.pid}`;
    expect((await me.ask("PUT", "/update", { organization_name: name })).status).toBe(200);
    expect(await settled(service, me)).toEqual(used);
    const { organization_name, usage } = await shown(me);
    expect({ organization_name, usage }).toEqual({
      organization_name: name,
      usage: {
        documents: { used: used.documents, limit: null },
        bytes: { used: used.bytes, limit: null },
        counted_at: expect.any(String),
      },
    });
  });
});

describe("in a quota of many bytes", () => {
  const service = useService({ QUOTA_STARTER_BYTES: String(64 * largeBytes), DEFAULT_TIER: "starter" });

  test("large documents count with what they have, however it came about", async () => {
    const me = await joinAs(service, "quota");
    const text = "x".repeat(largeBytes);
    const many = Object.fromEntries(Array.from({ length: 250 }, (_, n) => [`f${n}`, n]));
    const path = `${documents}/5`;
    expect((await me.ask("POST", documents, { _id: 5, text })).status).toBe(201);
    for (const [method, body] of [
      ["PUT", { text: `${text}more`, n: 1.5 }],
      ["PATCH", { n: null, other: { a: [1] } }],
      ["PATCH", many],
      ["PUT", { other: 1 }],
      ["PATCH", { text, n: "one" }],
    ] as const)
      expect((await me.ask(method, path, body)).status).toBe(200);
    expect(await settled(service, me)).toEqual({ documents: 1, bytes: sizeOf({ _id: 5, other: 1, text, n: "one" }) });
    expect((await me.ask("DELETE", path)).status).toBe(204);
    expect(await settled(service, me)).toEqual({ documents: 0, bytes: 0 });
  });
});
