import { expect, setDefaultTimeout, test } from "bun:test";
import { Binary, type Document } from "mongodb";
import { readFilter } from "../../../src/tenant/query/filter.ts";
import { costOfPattern } from "../../../src/tenant/query/cost/pattern.ts";
import { useFleet } from "../../support/fleet.ts";

setDefaultTimeout(60_000);
const fleet = useFleet();

const length = 1_048_576;
const of = (part: string) => part.repeat(length / part.length);
/** Each with a text that leads it on at every place, and fails at the end. */
const worst: [pattern: string, text: string][] = [
  ["^a*[bd]", of("a")],
  [".*foo[bd]", of("foo-")],
  ["^foo.*ba", of("foo-")],
  ["foo.{0,40}[bd]", of("foo-")],
  ["\\d{1,20}[.,]", of("1")],
  ["^[^@]+@[^@]+$", `${of("a")}@@`],
  ["a{1,9}a{1,9}[bd]", of("a")],
  ["(a|b){7}[cd]", of("ab")],
  ["^(?:ab)*[cd]", of("ab")],
  ["/products/\\d+/reviews", of("/products/1/")],
  ["v\\d+\\.\\d+x", of("v1.1")],
  ["^[^@]+@[^@]+\\.[a-z]+$", `a@${of("a.")}`],
  ["(.*)foo[bd]", of("foo-")],
  ["^(foo|bar)+$", `${of("foobar")}x`],
  ["^[a-z]+(-[a-z]+)*$", `${of("ab-c")}!`],
  [`${"a".repeat(900)}b`, `b${of("a")}b`],
];

test.each(worst)(
  "a pattern that is permitted is done with a text of 1 MB in the time of a query: %s",
  async (pattern, text) => {
    expect(costOfPattern(pattern)).toBeNull();
    const texts = fleet.db.collection<{ _id: string; text: string }>("texts");
    await texts.replaceOne({ _id: "one" }, { text }, { upsert: true });
    const options = { maxTimeMS: 10_000 };
    const startedMs = performance.now();
    expect(await texts.countDocuments({ text: { $regex: pattern } }, options)).toBeLessThan(2);
    // What is quadratic takes minutes, and no limit of time ends it.
    expect(performance.now() - startedMs).toBeLessThan(10_000);
  },
);

const nested = (depth: number): unknown => (depth === 0 ? 1 : [{ 0: nested(depth - 1) }]);
const or = (count: number, condition: Document) => ({ $or: Array(count).fill(condition) });
test.each<[what: string, value: unknown, filter: Document]>([
  ["numbers in paths", Array(20_000).fill(nested(4)), or(12, { "a.0.0.0.0": 2 })],
  [
    "bits of binary values",
    Array(100_000).fill(new Binary(new Uint8Array(8))),
    or(40, { a: { $bitsAnySet: Array.from({ length: 64 }, (_, bit) => bit) } }),
  ],
])("a filter that is permitted is done with a large array in the time of a query: %s", async (_, value, filter) => {
  const all = fleet.db.collection<{ _id: string; a: unknown }>("arrays");
  await all.replaceOne({ _id: "one" }, { a: value }, { upsert: true });
  const startedMs = performance.now();
  expect(await all.countDocuments(readFilter(filter), { maxTimeMS: 10_000 })).toBe(0);
  expect(performance.now() - startedMs).toBeLessThan(10_000);
});
