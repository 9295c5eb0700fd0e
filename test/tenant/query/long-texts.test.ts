import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { costOfPattern } from "../../../src/tenant/query/cost/pattern.ts";
import { type Fleet, openFleet } from "../../support/fleet.ts";

setDefaultTimeout(60_000);
let fleet: Fleet;
beforeAll(async () => {
  fleet = await openFleet();
}, 60_000);
afterAll(() => fleet.close(), 60_000);

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
