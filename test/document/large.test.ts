import { afterAll, expect, test } from "bun:test";
import { BSON, ObjectId } from "mongodb";
import { createLargeThreads } from "../../src/document/large.ts";
import { type LargeFields, largeFields } from "../../src/tenant/stored.ts";

const program = new URL("../../src/document/large-worker.ts", import.meta.url);
const threads = createLargeThreads(program, 64 * 1_048_576);
afterAll(() => threads.close());

test("a page of large documents waits for one turn among others' work, however many documents it has", async () => {
  const [busy, page] = [threads.of(new ObjectId()), threads.of(new ObjectId())];
  const heavy = BSON.serialize({ a: Array.from({ length: 100_000 }, () => 1) });
  const order: string[] = [];
  const others = Array.from({ length: 12 }, () => busy.print([heavy]).then(() => order.push("other")));
  const printed = await page.print(Array.from({ length: 40 }, (_, n) => BSON.serialize({ _id: n, b: "x" })));
  order.push("page");
  await Promise.all(others);
  expect(order.indexOf("page")).toBeLessThan(6);
  expect(printed.map(({ json }) => new TextDecoder().decode(json))).toEqual(
    Array.from({ length: 40 }, (_, n) => `{"_id":${n},"b":"x"}`),
  );
});

test("what was read of documents and waits for a thread is bounded, of each organization and of all together", async () => {
  const [first, second] = [new ObjectId(), new ObjectId()].map((id) => threads.of(id));
  const page = Array.from({ length: 12 }, () => BSON.serialize({ a: "x".repeat(1_048_576) }));
  const outcomes = await Promise.allSettled([
    ...[first, first, first].map((large) => large!.print(page)),
    // Half of what is left.
    ...[second, second].map((large) => large!.show(1, largeFields(page[0]!), true)),
    ...[second, second].map((large) => large!.print(page)),
    first!.show(1, largeFields(page[0]!), false),
  ]);
  expect(outcomes.map(({ status }): string => status)).toEqual([
    ...["fulfilled", "fulfilled", "rejected"],
    ...["fulfilled", "fulfilled"],
    ...["fulfilled", "rejected"],
    // What it has written is answered in any case.
    "fulfilled",
  ]);
  const refused = outcomes.find(({ status }) => status === "rejected") as PromiseRejectedResult;
  expect(refused.reason).toMatchObject({ failure: "documents_busy", retryAfterSeconds: 1 });
  expect(await first!.print(page)).toHaveLength(12);
  // One alone is never too large.
  const few = createLargeThreads(program, 4 * 1_048_576);
  expect(await few.of(new ObjectId()).print(page)).toHaveLength(12);
  few.close();
});

test("what is patched, and what is never shown, is not printed", async () => {
  const large = threads.of(new ObjectId());
  const body = () => new TextEncoder().encode(`{"a":"${"x".repeat(200_000)}"}`).buffer;
  const fieldsOf = async (isShown?: boolean) =>
    (await large.read(body(), 1, isShown)).documents[0]!.fields as LargeFields;
  expect((await fieldsOf()).json).toBeDefined();
  expect((await fieldsOf(false)).json).toBeUndefined();
});
