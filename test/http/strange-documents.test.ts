import { expect, setDefaultTimeout, test } from "bun:test";
import { type Document, ObjectId } from "mongodb";
import { expectProblem } from "../support/problem.ts";
import { useService } from "../support/service.ts";
import { type Client, joinAs, moveTo } from "../support/tenants.ts";

setDefaultTimeout(60_000);
const service = useService({ DEFAULT_TIER: "professional" });

/** Stores documents as other clients of the database may have done, the first Croupier among them. */
async function store(client: Client, documents: Document[]): Promise<void> {
  const organization = await service.db.collection("organizations").findOne({ _id: new ObjectId(client.id) });
  const stored = documents.map((document) => ({ ...document, tenant_id: client.id }));
  // With it the driver leaves an `_id` of null alone.
  const options = { forceServerObjectId: true };
  await service.db.collection(organization!.placement.collection).insertMany(stored, options);
}

test("documents with an _id of any type are listed to their end, a page at a time, wherever they are", async () => {
  const me = await joinAs(service);
  const ids = [null, 5, "x", { a: 1 }, { a: 2, b: { c: "y" } }, { a: "z" }, new ObjectId(), true];
  await store(
    me,
    ids.map((_id, n) => ({ _id, n, same: 1 })),
  );
  const walk = async (query: object) => {
    const walked: number[] = [];
    let cursor: string | null = null;
    do {
      const { body, text } = await me.ask("POST", "/documents/find", { ...query, limit: 1, cursor });
      if (!body.documents) throw new Error(text);
      walked.push(...body.documents.map(({ n }: { n: number }) => n));
      cursor = body.next_cursor;
    } while (cursor);
    return walked;
  };
  const upwards = ids.map((_, n) => n);
  for (const tier of ["", "starter", "enterprise", "starter", "professional", "enterprise", "professional"] as const) {
    if (tier !== "") await moveTo(service, me.id, tier);
    expect(await walk({})).toEqual(upwards);
    expect(await walk({ sort: "-_id" })).toEqual(upwards.toReversed());
    expect(await walk({ sort: "same" })).toEqual(upwards);
    expect(await walk({ sort: "same,-_id", filter: { n: { $gte: 0 } } })).toEqual(upwards.toReversed());
  }
});

test("a patch leaves names alone that no caller may store, and brings none", async () => {
  const me = await joinAs(service);
  const stored = { "a.b": 1, deep: { "c.d": [{ "": 2 }], $e: 3, kept: 4 }, tail: 5 };
  await store(me, [{ _id: "x", ...stored }]);
  const patched = await me.ask("PATCH", "/documents/x", { deep: { kept: null, f: 6 }, tail: { g: 7 } });
  expect(patched.status).toBe(200);
  const expected = { _id: "x", "a.b": 1, deep: { "c.d": [{ "": 2 }], $e: 3, f: 6 }, tail: { g: 7 } };
  expect(patched.body).toEqual(expected);
  for (const patch of [{ "a.b": 2 }, { deep: { "c.d": null } }, { deep: { $e: 4 } }, { deep: { $e: null } }]) {
    expect((await me.ask("PATCH", "/documents/x", patch)).status).toBe(422);
  }
  expect((await me.ask("GET", "/documents/x")).body).toEqual(expected);
  // The database itself doesn't take such a name in a replacement.
  await store(me, [{ _id: "y", $top: 1 }]);
  const refused = await me.ask("PATCH", "/documents/y", { a: 1 });
  expectProblem(refused, {
    status: 422,
    type: "invalid_request",
    path: "/org/documents/y",
    pointers: ["#/$top"],
  });
});
