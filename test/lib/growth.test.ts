import { expect, test } from "bun:test";
import { createRequest, updateRequest } from "../../src/http/contract/schemas.ts";
import { parseExtendedJson } from "../../src/lib/json/extended-json.ts";

/** Processor time in milliseconds. */
function cost(work: () => unknown): number {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

const marks = (count: number) => `Aa1${"\u0301\u0323".repeat(count)}`;

// Far above what is linear and far below the square, however busy the machine is: 40,000 took seconds.
test("a password of 20,000 marks in the wrong order is refused before it is normalized", () => {
  const password = marks(20_000);
  const create = { organization_name: "acme", email: "ada@acme.example", password };
  expect(createRequest.safeParse(create).success).toBe(false);
  expect(cost(() => createRequest.safeParse(create))).toBeLessThan(500);
  expect(cost(() => updateRequest.safeParse({ password }))).toBeLessThan(500);
});

test("a decimal of 40,000 digits is refused before it is computed", () => {
  const text = `{"a":{"$numberDecimal":"${"1".repeat(40_000)}x"}}`;
  expect(() => parseExtendedJson(text)).toThrow("$numberDecimal");
  expect(() => parseExtendedJson(text.replace("x", ""))).toThrow("$numberDecimal");
  expect(cost(() => expect(() => parseExtendedJson(text)).toThrow())).toBeLessThan(500);
});
