import { afterAll, expect, test } from "bun:test";
import { BSON, ObjectId } from "mongodb";
import { createLargeThreads } from "../../src/document/large.ts";

const threads = createLargeThreads(new URL("../../src/document/large-worker.ts", import.meta.url));
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
